// A failover of Redis loses nothing that was acknowledged and replicated, and needs no restart: the master is killed under
// load, and sentinels promote its replica.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { PredictionLoad } from '../helpers/prediction-load.ts'
import { isAlive } from '../helpers/processes.ts'
import { type SentinelSetup, startSentinels } from '../helpers/redis-servers.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const LOAD_MS = 5_000
const MARK_MS = 1_000

let redis: SentinelSetup
let stack: Stack
beforeAll(async () => {
  redis = await startSentinels()
  stack = await startStack({ redisUrl: redis.url, workers: 2, workerEnv: { MODELS: 'tiny-fp32' } })
})
afterAll(async () => {
  await stack?.stop()
  await redis?.stop()
})

it('loses and doubles no replicated prediction when the master is killed', async () => {
  const load = new PredictionLoad(() => stack.url)
  await waitFor('the first predictions', () => load.ids.length > 10)
  await delay(LOAD_MS)
  const replicated = new Set(load.ids)
  // Replication is one stream, so a write that the replica has acknowledged follows all that was acknowledged before.
  const replicas = await redis.master.ask(async (master) => {
    await master.set('inferq:test-mark', '1')
    return master.wait(1, MARK_MS)
  })
  expect(replicas).toBe(1)
  redis.master.child.kill('SIGKILL')
  await waitFor('the new master', async () => (await redis.replica.ask((each) => each.role()))[0] === 'master')
  const accepted = load.ids.length
  await waitFor('new predictions', () => load.ids.length > accepted + 50, { within: 60_000 }).catch(
    (error: unknown) => {
      throw new Error(`no new predictions; the last refusal: ${load.lastRefusal}`, { cause: error })
    },
  )
  await delay(LOAD_MS)
  await load.stop()
  const figures = await load.figures(replicated)
  console.log(`Sentinel, master killed: ${JSON.stringify(figures)}`)
  expect(figures).toMatchObject({ lost: { replicated: 0 }, doubled: 0 })
  for (const { child } of [stack.api, ...stack.workers]) expect(isAlive(child.pid ?? 0)).toBe(true)
})
