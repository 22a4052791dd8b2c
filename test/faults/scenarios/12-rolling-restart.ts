import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { jobKey } from '../../../src/queue/names.ts'
import { ask, endsOf, submit } from '../runner/calls.ts'
import { seconds } from '../runner/figures.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

export const scenario: Scenario = {
  promise: 'A rolling restart under load drops nothing: each process gets SIGTERM, and no call sees it.',
  async run({ pick, start, acks, onEnd }) {
    const cluster = await start({ apis: 2, workers: 2, apiEnv: { STOP_DELAY: '2s' } })
    const redis = new Redis(cluster.redis.url)
    onEnd(() => redis.disconnect())
    const statuses = new Map<number, number>()
    const exits: number[] = []
    const codes: unknown[] = []
    const period = new Period()
    for (let callers = 0; callers < 4; callers += 1) {
      period.every(20, async () => {
        // As a load balancer: an api that is not ready gets no requests.
        const api = cluster.apis[callers % cluster.apis.length]
        const { status } = await ask(`${api?.url}/predict`, { json: { inputs: 'hello' } })
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      })
    }
    period.every(50, async () => {
      const id = await submit(cluster, { text: 'a text' }, period.signal)
      if (id !== undefined) acks.record(id)
    })
    const stopped = async (stop: () => Promise<unknown>) => {
      const began = Date.now()
      codes.push(await stop())
      exits.push(Date.now() - began)
    }
    const ended = period.last(600_000)
    for (let round = 0; round < pick(1, 3); round += 1) {
      for (let each = 0; each < 2; each += 1) {
        const [worker] = cluster.workers
        await cluster.stack.addWorker()
        cluster.workers.shift()
        await stopped(async () => worker?.stop())
        await cluster.addApi()
        const api = cluster.apis.shift()
        await stopped(async () => api?.process.stop())
      }
    }
    await delay(1_000)
    period.end()
    await ended
    const ids = acks.read()
    const ends = [...(await endsOf(cluster, ids, 60_000)).values()]
    const failed = ends.filter((found) => found?.status !== 'succeeded').length
    const stalls = await Promise.all(
      ids.map(async (id) => Number(await redis.hget(jobKey('tiny-fp32-async', `public_${id}`), 'stc')) || 0),
    )
    const stalled = stalls.filter((count) => count > 0).length
    const answered = statuses.get(200) ?? 0
    const all = [...statuses.values()].reduce((sum, count) => sum + count, 0)
    return {
      faults: `SIGTERM of ${exits.length} processes in turn, under load`,
      figure: `calls ${all}, not answered with 200: ${all - answered}; predictions ${ids.length}, lost ${failed}, stalled ${stalled}; longest exit ${seconds(Math.max(...exits))}`,
      checks: [
        [`${all - answered} calls failed (${JSON.stringify([...statuses])})`, all === answered && all > 0],
        [`${failed} predictions did not succeed`, failed === 0],
        [`${stalled} jobs stalled`, stalled === 0],
        [`the exit codes are ${codes.join()}`, codes.every((code) => code === 0)],
      ],
    }
  },
}
