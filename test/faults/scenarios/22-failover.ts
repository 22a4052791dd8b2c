import { setTimeout as delay } from 'node:timers/promises'
import { BatchCaller, faultsIn, mixedLines } from '../../helpers/batches.ts'
import { type LoadFigures, PredictionLoad } from '../../helpers/prediction-load.ts'
import { type StartedRedis, startCluster, startSentinels } from '../../helpers/redis-servers.ts'
import { startStack } from '../../helpers/stack.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import type { Scenario } from '../runner/scenario.ts'

const START_WITHIN_MS = 120_000
const PATIENT = { MAX_QUEUE_SECONDS: '1h', LOG_LEVEL: 'info' }
const WORDS = 12

interface Setup {
  kind: 'Sentinel' | 'Cluster'
  url: string
  /** Each master with its replica. Those after the first are killed in the long form alone. */
  pairs: { master: StartedRedis; replica: StartedRedis }[]
  stop: () => Promise<void>
}

export const scenario: Scenario = {
  promise:
    'A failover of Redis (Sentinel, Cluster) loses and doubles nothing that was acknowledged and replicated, and needs no restart.',
  async run({ pick, onEnd }) {
    const faults: string[] = []
    const figures: string[] = []
    const checks: [string, boolean][] = []
    for (const start of pick([sentinelSetup], [sentinelSetup, clusterSetup])) {
      const setup = await start()
      onEnd(setup.stop)
      const stack = await startStack({
        redisUrl: setup.url,
        workers: 2,
        apiEnv: PATIENT,
        workerEnv: { MODELS: 'tiny-fp32', LOG_LEVEL: 'info' },
        within: START_WITHIN_MS,
      })
      onEnd(() => stack.stop())
      const kills = pick(1, setup.pairs.length)
      const rows = pick(200, 2_000)
      const caller = new BatchCaller(stack.url)
      const batch = await caller.run(mixedLines(rows, WORDS))
      const load = new PredictionLoad(() => stack.url)
      const replicated = new Set<string>()
      for (const { master, replica } of setup.pairs.slice(0, kills)) {
        const before = load.ids.length
        await waitFor('predictions', () => load.ids.length > before + 30, { within: 120_000 })
        await delay(pick(1_000, 5_000))
        const accepted = load.ids
        for (const pair of setup.pairs) await untilReplicated(pair)
        for (const id of accepted) replicated.add(id)
        master.child.kill('SIGKILL')
        await waitFor('the promotion', async () => (await replica.ask((each) => each.role()))[0] === 'master')
        const after = load.ids.length
        await waitFor('predictions after it', () => load.ids.length > after + 30, { within: 120_000 }).catch(
          (error) => {
            throw new Error(`no predictions after the failover; the last refusal: ${load.lastRefusal}`, {
              cause: error,
            })
          },
        )
      }
      await load.stop()
      const found = await load.figures(replicated)
      const ended = await waitFor('the batch', () => caller.ended(batch.id, 180_000), { within: 200_000 })
      const rowFaults = await faultsIn(caller, ended, rows)
      const crashed = [stack.api, ...stack.workers].filter(({ child }) => (child.exitCode ?? child.signalCode) !== null)
      faults.push(`${setup.kind}: ${kills} × master killed under load`)
      figures.push(figureOf(setup.kind, found, rows))
      checks.push(
        [`${setup.kind}: ${found.lost.replicated} replicated predictions are lost`, found.lost.replicated === 0],
        [`${setup.kind}: ${found.doubled} predictions are doubled`, found.doubled === 0],
        [`${setup.kind}: rows of the batch: ${rowFaults.slice(0, 3).join('; ')}`, rowFaults.length === 0],
        [`${setup.kind}: ${crashed.length} processes ended`, crashed.length === 0],
      )
    }
    return { faults: faults.join('; '), figure: figures.join('; '), checks }
  },
}

function figureOf(kind: string, { accepted, lost, doubled, unreplicated, longestPause }: LoadFigures, rows: number) {
  const ofOthers = `${lost.other} of ${unreplicated} that were accepted later`
  return `${kind}: ${accepted} predictions, lost ${lost.replicated} (and ${ofOthers}), doubled ${doubled}, ${rows} rows, longest pause ${longestPause} s`
}

async function sentinelSetup(): Promise<Setup> {
  const { url, master, replica, stop } = await startSentinels()
  return { kind: 'Sentinel', url, pairs: [{ master, replica }], stop }
}

/** The master of the model's queues is the first. */
async function clusterSetup(): Promise<Setup> {
  const { url, masters, replicas, stop } = await startCluster({ replicas: true })
  const pairs = masters.map((master, index) => ({ master, replica: replicas[index] as StartedRedis }))
  const hasQueues = await Promise.all(
    masters
      .map((master) => master.ask((redis) => redis.exists('{tiny-fp32}')))
      .map((asked) =>
        asked.then(
          () => true,
          () => false,
        ),
      ),
  )
  pairs.sort((a, b) => Number(hasQueues[masters.indexOf(b.master)]) - Number(hasQueues[masters.indexOf(a.master)]))
  return { kind: 'Cluster', url, pairs, stop }
}

/** Replication is one stream, so a replica that has reached the master's offset has all that was acknowledged before. */
async function untilReplicated({ master, replica }: { master: StartedRedis; replica: StartedRedis }): Promise<void> {
  const offsetOf = (redis: StartedRedis, name: string) =>
    redis.ask(async (each) => Number(new RegExp(`${name}:(\\d+)`).exec(await each.info('replication'))?.[1]))
  const role = await master.ask((redis) => redis.role()).catch(() => [])
  // Its replica is the master since it was killed.
  if (role[0] !== 'master') return
  const offset = await offsetOf(master, 'master_repl_offset')
  await waitFor('the replica', async () => (await offsetOf(replica, 'slave_repl_offset')) >= offset)
}
