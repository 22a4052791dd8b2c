// `inferq doctor` on a good machine and on broken ones.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { ownRedis } from '../helpers/redis.ts'
import { runCli } from '../helpers/run-cli.ts'
import { shiftedClock } from '../helpers/shifted-clock.ts'
import { type Stack, startStack, TINY_MODELS } from '../helpers/stack.ts'

const KEY = 'the-secret-of-the-operator'
let redis: Awaited<ReturnType<typeof ownRedis>>
let stack: Stack
let dir: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-doctor-'))
  redis = await ownRedis(200_000_000)
  stack = await startStack({ redisUrl: redis.url, apiEnv: { API_KEYS: `ann:${KEY}` } })
})
afterAll(async () => {
  await stack?.stop()
  await redis?.stop()
  rmSync(dir, { recursive: true, force: true })
})

type Env = Record<string, string | undefined>

const doctor = (env: Env = {}, ...args: string[]) => {
  const port = new URL(stack.url).port
  const own = { INFERQ_URL: stack.url, INFERQ_API_KEY: KEY, REDIS_URL: redis.url, MODELS_DIR: TINY_MODELS, PORT: port }
  return runCli(['doctor', ...args], { cwd: dir, env: { ...own, ...env } })
}

/** The findings of one check, and the exit code. */
async function found(check: string, env: Env): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, stdout } = await doctor(env, '--json')
  const { findings } = JSON.parse(stdout) as { findings: Finding[] }
  return { code, findings: findings.filter((each) => each.check === check) }
}

it('finds nothing on a good machine', async () => {
  const { code, stdout, stderr } = await doctor()
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^ok {7}redis {5}Redis answers in \d+\.\d ms$/m)
  expect(stdout).toMatch(/^ok {7}server {4}inferq \d+\.\d+\.\d+ at http:\S+ is healthy$/m)
  expect(stdout).toMatch(/^ok {7}models {4}.*tiny-fp32.* can be served$/m)
  expect(stdout).toMatch(/\n\n0 problems, \d+ warnings?\n$/)
})

it('names the settings of Redis with which jobs are lost, and the remedy', async () => {
  const client = new Redis(redis.url)
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru')
  const expected = {
    message: expect.stringContaining('a full Redis drops jobs'),
    remedy: 'start Redis with --maxmemory-policy noeviction',
  }
  try {
    const { code, findings } = await found('redis', {})
    expect([code, findings]).toEqual([0, expect.arrayContaining([{ check: 'redis', level: 'warning', ...expected }])])
    const required = await found('redis', { REQUIRE_DURABLE: 'on' })
    expect(required.code).toBe(1)
    expect(required.findings).toContainEqual({ check: 'redis', level: 'problem', ...expected })
  } finally {
    await client.config('SET', 'maxmemory-policy', 'noeviction')
    await client.quit()
  }
})

it.each<[string, string, Env, string, string]>([
  ['a Redis that is away', 'redis', { REDIS_URL: 'redis://127.0.0.1:9' }, 'does not answer', 'start Redis'],
  ['an invalid setting', 'settings', { PORT: 'x' }, 'PORT: must be a whole number', 'docs/operations.md'],
  ['no models', 'models', { MODELS_DIR: '/nowhere' }, 'no model is in /nowhere', 'inferq models add'],
  ['a server that is away', 'server', { INFERQ_URL: 'http://127.0.0.1:9' }, 'does not answer', 'inferq serve'],
  ['a wrong key', 'server', { INFERQ_API_KEY: 'wrong' }, 'API key', 'set INFERQ_API_KEY'],
])('reports %s', async (_what, check, env, message, remedy) => {
  const { code, findings } = await found(check, env)
  expect(code).toBe(1)
  expect(findings).toContainEqual({
    check,
    level: 'problem',
    message: expect.stringContaining(message),
    remedy: expect.stringContaining(remedy),
  })
})

it('reports a broken model, and a port that another program has', async () => {
  const models = join(dir, 'models')
  mkdirSync(models)
  cpSync(join(TINY_MODELS, 'tiny-fp32'), join(models, 'broken'), { recursive: true })
  writeFileSync(join(models, 'broken/config.json'), '{}')
  const env = { MODELS_DIR: models, PORT: new URL(redis.url).port }
  const { code, findings } = await found('models', env)
  expect([code, findings[0]]).toMatchObject([1, { level: 'problem', message: expect.stringMatching(/^broken: /) }])
  expect((await found('port', env)).findings).toMatchObject([
    { level: 'problem', message: expect.stringMatching(/ is taken$/) },
  ])
})

it('reports a clock that is wrong', async () => {
  const { findings } = await found('server', shiftedClock(-3_600))
  expect(findings).toContainEqual({
    check: 'server',
    level: 'warning',
    message: expect.stringMatching(/^the clock of the server is 3(?:599|600|601) s fast/),
    remedy: expect.stringContaining('timedatectl'),
  })
})

it('prints no login', async () => {
  const { stdout } = await doctor({
    INFERQ_URL: 'http://user:hidden@127.0.0.1:9',
    REDIS_URL: 'redis://:hidden@127.0.0.1:9',
  })
  expect(stdout).not.toContain('hidden')
})
