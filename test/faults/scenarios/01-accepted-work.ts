import { endsOf, submit } from '../runner/calls.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

export const scenario: Scenario = {
  promise: 'After 201 or 202 a job is never lost, whatever process is killed, Redis too (with an append-only file).',
  async run({ pick, start, acks }) {
    const cluster = await start({ apis: 2, workers: 3 })
    const kills = { workers: 0, apis: 0, redis: 0 }
    const period = new Period()
    for (let callers = 0; callers < 4; callers += 1) {
      period.every(50, async () => {
        const id = await submit(cluster, { text: `a text of caller ${callers}` }, period.signal)
        if (id !== undefined) acks.record(id)
      })
    }
    await period
      .every(pick(3_000, 1_500), async () => {
        await cluster.replaceWorker()
        kills.workers += 1
      })
      .every(pick(4_000, 10_000), async () => {
        await cluster.replaceApi()
        kills.apis += 1
      })
      .every(pick(6_000, 30_000), () => {
        cluster.killRedis()
        kills.redis += 1
      })
      .last(pick(12_000, 120_000))
    const ids = acks.read()
    const ends = [...(await endsOf(cluster, ids, 300_000)).values()]
    const lost = ends.filter((found) => found === undefined).length
    const succeeded = ends.filter((found) => found?.status === 'succeeded').length
    return {
      faults: `SIGKILL of ${kills.workers} workers, ${kills.apis} apis, ${kills.redis} × Redis`,
      figure: `accepted ${ids.length}, lost ${lost}, succeeded ${succeeded}`,
      checks: [
        ['some work was accepted', ids.length > 0],
        ['every process was killed', Object.values(kills).every((count) => count > 0)],
        [`${lost} were lost`, lost === 0],
        [`${ids.length - lost - succeeded} did not succeed`, succeeded === ids.length - lost],
      ],
    }
  },
}
