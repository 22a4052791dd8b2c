// Redis with TLS behind sentinels, and as a cluster under the ACL of docs/operations.md.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { BatchCaller, faultsIn, mixedLines } from '../helpers/batches.ts'
import { type ServerTls, startCluster, startSentinels } from '../helpers/redis-servers.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { Authority } from '../helpers/tls/authority.ts'
import { waitFor } from '../helpers/wait-for.ts'

const TEXT = 'The boy is sitting on a bench'
const ROWS = 200
const WORDS = 12
/** Five servers, an api and a worker start. */
const LONG = 240_000

let dir: string
let tls: ServerTls
const stops: (() => unknown)[] = []
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-tls-'))
  const authority = new Authority(dir, 'own')
  tls = { ...authority.issue('server'), ca: authority.ca }
})
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function start(redisUrl: string): Promise<Stack> {
  const env = { REDIS_TLS_CA: tls.ca, REDIS_TLS_CERT: tls.cert, REDIS_TLS_KEY: tls.key }
  const stack = await startStack({ redisUrl, within: 90_000, apiEnv: env, workerEnv: { ...env, MODELS: 'tiny-fp32' } })
  stops.push(stack.stop)
  return stack
}

/** A call, a prediction and a batch. */
async function works({ url }: Stack): Promise<void> {
  const caller = new BatchCaller(url)
  await waitFor('an answered call', async () => (await caller.call(`/predict?text=${TEXT}`)).status === 200)
  // On a busy machine a command may take longer than it may, which is a 503.
  const submit = async () => {
    const json = { input: { text: TEXT } }
    const response = await caller.call('/v1/predictions', { json, headers: { Prefer: 'wait' } })
    return response.status === 201 && ((await response.json()) as { status: string }).status
  }
  expect(await waitFor('a prediction', submit)).toBe('succeeded')
  const batch = await waitFor('a new batch', () => caller.run(mixedLines(ROWS, WORDS)))
  expect(await faultsIn(caller, await caller.ended(batch.id, 120_000), ROWS)).toEqual([])
}

it(
  'sentinels and their Redis serve with TLS',
  async () => {
    const setup = await startSentinels({}, tls)
    stops.push(setup.stop)
    await works(await start(setup.url))
  },
  LONG,
)

it(
  'a cluster serves with TLS, under the documented ACL, and refuses nothing',
  async () => {
    const cluster = await startCluster({ tls })
    stops.push(cluster.stop)
    const rules = documentedRules()
    for (const each of cluster.masters)
      await each.ask((redis) => redis.acl('SETUSER', 'inferq', 'on', '>the-password', ...rules))
    await works(await start(cluster.url.replace('://', '://inferq:the-password@')))
    for (const each of cluster.masters) expect(await each.ask((redis) => redis.acl('LOG'))).toEqual([])
  },
  LONG,
)

/** The rules of the documented user, with those of a cluster. */
function documentedRules(): string[] {
  const page = readFileSync(fileURLToPath(new URL('../../docs/operations.md', import.meta.url)), 'utf8')
  const [, rules = ''] = /^ACL SETUSER inferq on '>PASSWORD' ([^`]+)```$/m.exec(page) ?? []
  const [, more = ''] = /An ACL also needs `([^`]+)`/.exec(page) ?? []
  expect(more).toContain('+cluster|slots')
  return `${rules} ${more}`.replaceAll('\\\n', ' ').trim().split(/\s+/)
}
