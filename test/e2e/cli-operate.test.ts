// `inferq jobs` and `inferq admin-password`, and what commands report without a server or a key.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Inferq } from '../../src/client/client.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { runCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KEY = 'the-secret-of-the-operator'
let stack: Stack
let inferq: Inferq

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { API_KEYS: `ann:${KEY}` } })
  inferq = new Inferq({ url: stack.url, key: KEY })
})
afterAll(() => stack?.stop())

const cli = (args: string[], env: Record<string, string | undefined> = {}) =>
  runCli(args, { env: { INFERQ_URL: stack.url, INFERQ_API_KEY: KEY, ...env } })

describe('jobs', () => {
  it('reports that there are none', async () => {
    const { code, stdout, stderr } = await cli(['jobs'])
    expect([code, stdout, stderr]).toEqual([0, '', 'inferq: no predictions are waiting, running, failed\n'])
  })

  it('lists what failed and what waits, with the reason and the age', async () => {
    const failed = await inferq.predictions.create('many words '.repeat(800), { truncate: false, wait: 30 })
    const done = await inferq.predictions.create('a', { wait: 30 })
    expect([failed.status, done.status]).toEqual(['failed', 'succeeded'])
    await stack.workers[0]?.stop()
    await waitFor('the api to notice', async () => (await fetch(`${stack.url}/health`)).status === 503)
    const waiting = await inferq.predictions.create('a')

    const jobs = (await cli(['jobs', '--json'])).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(jobs).toMatchObject([
      { id: waiting.id, model: 'tiny-fp32', state: 'waiting', attempts: 1, reason: 'no worker serves the model' },
      { id: failed.id, state: 'failed', age_seconds: expect.any(Number), reason: expect.stringMatching(/tokens|long/) },
    ])
    const table = await cli(['jobs', '--state', 'succeeded', 'waiting', '--limit', '2'])
    expect(table.stdout).toMatch(
      new RegExp(`^ID .* REASON\\n${waiting.id}  tiny-fp32  waiting +\\d+s .*\\n${done.id}  tiny-fp32  succeeded `),
    )
    expect(table.stderr).toBe('inferq: the newest 2 are listed; --limit lists more\n')
  })
})

describe('admin-password', () => {
  it('prints another strong password each time, alone on stdout, and where to set it', async () => {
    const first = await cli(['admin-password'])
    const second = await cli(['admin-password'])
    expect(first.stdout).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{31}\n$/)
    expect(first.stdout).not.toBe(second.stdout)
    expect(first.stderr).toMatch(/ADMIN_PASSWORD.*restart/)
    const { password } = JSON.parse((await cli(['admin-password', '--json'])).stdout) as { password: string }
    expect(password).toHaveLength(32)
  })

  it('prints one with which the dashboard opens', async () => {
    const password = (await cli(['admin-password'])).stdout.trim()
    const own = await startStack({ redisUrl: await emptyRedis(), workers: 0, apiEnv: { ADMIN_PASSWORD: password } })
    try {
      const open = (given: string) =>
        fetch(`${own.url}/admin/queues/`, { headers: { Authorization: `Basic ${btoa(`admin:${given}`)}` } })
      expect([(await open(password)).status, (await open('wrong')).status]).toEqual([200, 401])
    } finally {
      await own.stop()
    }
  })
})

describe.each(['predict a', 'status', 'jobs', 'batch list'])('%s', (command) => {
  const words = command.split(' ')

  it('states what to do without a server', async () => {
    const { code, stderr } = await cli(words, { INFERQ_URL: 'http://127.0.0.1:9' })
    expect([code, stderr]).toEqual([1, expect.stringMatching(/does not answer.*"inferq serve" starts it; --url/)])
  })

  it('states what to do with a wrong key', async () => {
    const { code, stderr } = await cli(words, { INFERQ_API_KEY: 'wrong' })
    expect([code, stderr]).toEqual([1, expect.stringMatching(/API key.*pass --key or set INFERQ_API_KEY/)])
  })
})

it.each([
  [['jobs', '--state', 'lost'], 'Allowed choices are waiting, running, failed, succeeded, canceled'],
  [['jobs', '--limit', '0'], 'whole number of at least 1'],
  [['completion', 'tcsh'], 'Allowed choices are bash, zsh, fish'],
  [['batch', 'follow'], "missing required argument 'id'"],
  [['batch', 'a.txt', '--complete-by', 'soon'], 'a time such as 2030-01-31T06:00Z'],
  [['job'], 'Did you mean jobs?'],
])('%j is invalid usage', async (args, message) => {
  const { code, stderr } = await cli(args)
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
})
