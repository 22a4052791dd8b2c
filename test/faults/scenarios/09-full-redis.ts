import { Redis } from 'ioredis'
import { ask, endsOf } from '../runner/calls.ts'
import { megabytes } from '../runner/figures.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

const MAX_LINES_A_SECOND = 50

export const scenario: Scenario = {
  promise:
    'Redis is never filled: work is refused from 60 % of its memory on, and what was accepted ends, results included.',
  async run({ pick, start, acks, onEnd }) {
    const limit = pick(16, 32) * 1_048_576
    const cluster = await start({ maxMemory: limit })
    const redis = new Redis(cluster.redis.url)
    onEnd(() => redis.disconnect())
    const text = 'x'.repeat(2_000)
    const input = { inputs: Array.from({ length: 50 }, (_, index) => `${index} ${text}`) }
    const began = Date.now()
    let [refused, others, highest] = [0, 0, 0]
    const period = new Period()
    for (let callers = 0; callers < 4; callers += 1) {
      period.every(20, async () => {
        const { status, body } = await ask(`${cluster.url}/v1/predictions`, { json: { input } })
        if (status === 202) acks.record((body as { id: string }).id)
        else if (status === 429) refused += 1
        else others += 1
      })
    }
    period.every(200, async () => {
      highest = Math.max(highest, Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]))
    })
    await period.last(pick(12_000, 40_000))
    const ids = acks.read()
    const ends = [...(await endsOf(cluster, ids, 400_000)).values()]
    const lost = ends.filter((found) => found === undefined || found.status === 'failed').length
    const unfinished = ends.filter((found) => found && !found.completed_at).length
    const processes = [...cluster.workers, ...cluster.apis.map((each) => each.process)]
    // A refusal is one line at info.
    const count = processes.reduce((sum, each) => sum + each.logs().filter(({ level }) => Number(level) > 30).length, 0)
    const lines = count / ((Date.now() - began) / 1_000)
    return {
      faults: `a flood of ${ids.length + refused} predictions of 100 kB on a Redis of ${megabytes(limit)}`,
      figure: `accepted ${ids.length}, refused ${refused}, highest memory ${Math.round((100 * highest) / limit)} %, lost ${lost}, unfinished ${unfinished}, warnings and errors in the log ${lines.toFixed(1)} a second`,
      checks: [
        ['some predictions were refused', refused > 0],
        [`${lost} accepted predictions are lost`, lost === 0 && ids.length > 0],
        [`${unfinished} accepted predictions have not ended in time`, unfinished === 0],
        [`${others} answers were neither 202 nor 429`, others === 0],
        ['Redis was full', highest < limit * 0.95],
        [`${lines} warnings and errors a second`, lines < MAX_LINES_A_SECOND],
      ],
    }
  },
}
