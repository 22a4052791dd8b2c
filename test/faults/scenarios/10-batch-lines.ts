import { BatchCaller, faultsIn, mixedLines } from '../../helpers/batches.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

const WORDS = 60

export const scenario: Scenario = {
  promise: 'Every line of a batch gives one line of output or error, and every batch ends.',
  async run({ pick, start }) {
    const cluster = await start({ apis: 2, workers: 2 })
    const rows = pick(2_000, 10_000)
    const caller = () => new BatchCaller(cluster.url)
    const { id } = await caller().run(mixedLines(rows, WORDS))
    const kills = { workers: 0, apis: 0, redis: 0 }
    const period = new Period()
      .every(pick(2_500, 2_000), async () => {
        await cluster.replaceWorker()
        kills.workers += 1
      })
      .every(pick(4_000, 10_000), async () => {
        await cluster.replaceApi()
        kills.apis += 1
      })
      .every(pick(7_000, 20_000), () => {
        cluster.killRedis()
        kills.redis += 1
      })
    await period.last(pick(9_000, 60_000))
    const batch = await waitFor('the batch', () => caller().ended(id, 500_000), { within: 510_000 })
    const found = await faultsIn(caller(), batch, rows)
    const { completed, failed } = batch.request_counts
    return {
      faults: `SIGKILL of ${kills.workers} workers, ${kills.apis} apis, ${kills.redis} × Redis; every 50th line invalid`,
      figure: `lines ${rows}, answered ${completed}, errors ${failed}, faults ${found.length}`,
      checks: [...found.map((fault): [string, boolean] => [fault, false]), ['workers were killed', kills.workers > 0]],
    }
  },
}
