import { setTimeout as delay } from 'node:timers/promises'
import { call } from '../runner/calls.ts'
import { DEFECTIVE, isolatedModel, textThat } from '../runner/defective.ts'
import { seconds, spread } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

/** One text of 0.4 s in a run, and one process. */
const CAPACITY = 2.5
const FACTOR = 5
const MAX_WAITING = 8

export const scenario: Scenario = {
  promise: 'Overload is refused with 429 and Retry-After; admitted calls are answered in time.',
  async run({ pick, start, directory }) {
    const cluster = await start({
      apiEnv: { MAX_WAITING: String(MAX_WAITING) },
      workerEnv: { ...DEFECTIVE, MODELS_DIR: isolatedModel(directory, 'tiny-fp32') },
    })
    const text = textThat('slow')
    const admitted: number[] = []
    const refusals: { after: number; retried: number }[] = []
    let others = 0
    const send = async (): Promise<number> => {
      const began = Date.now()
      const response = await call(`${cluster.url}/predict`, { json: { inputs: text } }).catch(() => undefined)
      await response?.text()
      if (response?.status === 200) admitted.push(Date.now() - began)
      else if (response?.status === 429) return Number(response.headers.get('retry-after'))
      else others += 1
      return 0
    }
    const caller = async () => {
      const after = await send()
      if (after === 0) return
      await delay(after * 1_000)
      refusals.push({ after, retried: await send() })
    }
    const calls: Promise<void>[] = []
    const until = Date.now() + pick(8_000, 60_000)
    while (Date.now() < until) {
      calls.push(caller())
      await delay(1_000 / (CAPACITY * FACTOR))
    }
    await Promise.all(calls)
    const gotIn = refusals.filter(({ retried }) => retried === 0).length
    const share = (part: number, whole: number) => `${Math.round((100 * part) / Math.max(1, whole))} %`
    const longest = Math.max(...admitted)
    return {
      faults: `an open loop of ${calls.length} calls at ${FACTOR} × capacity`,
      figure: `refused ${share(refusals.length, calls.length)}; admitted ${admitted.length}: ${spread(admitted)}; of the retries after Retry-After ${share(gotIn, refusals.length)} got in`,
      checks: [
        ['some calls were refused', refusals.length > 0],
        ['some calls were admitted', admitted.length > 0],
        [`${others} calls got neither 200 nor 429`, others === 0],
        ['a refusal had no Retry-After', refusals.every(({ after }) => after >= 1)],
        [`an admitted call took ${seconds(longest)}`, longest < 15_000],
      ],
    }
  },
}
