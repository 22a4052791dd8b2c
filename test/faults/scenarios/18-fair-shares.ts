import { setTimeout as delay } from 'node:timers/promises'
import { BatchCaller, lines } from '../../helpers/batches.ts'
import { ask } from '../runner/calls.ts'
import { percentile, spread } from '../runner/figures.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

const KEYS = { flood: 'the-secret-of-the-flood-01', calm: 'the-secret-of-the-calm-002' }
/** Most of it is the wait for a CPU, which the flood's own client takes too; bench/results.md has the ratio on its own. */
const MAX_DELAY_MS = 1_000
/** A machine whose calls take longer without a flood is busy with other work: then the ratio is shown, and not judged. */
const CALM_MS = 60

export const scenario: Scenario = {
  promise:
    'A flood of one API key (calls, predictions, batches) delays the calls of another one by less than a second.',
  async run({ pick, start }) {
    const cluster = await start({
      apiEnv: {
        API_KEYS: Object.entries(KEYS)
          .map((entry) => entry.join(':'))
          .join(),
        MAX_QUEUE_SECONDS: '60s',
        MAX_WAITING: '512',
      },
      workerEnv: { INFERENCE_PROCESSES: '2' },
    })
    const { url } = cluster
    const as = (key: string) => ({ Authorization: `Bearer ${key}` })
    let failed = 0
    const measure = async () => {
      const times: number[] = []
      const until = Date.now() + pick(5_000, 25_000)
      while (Date.now() < until) {
        const began = Date.now()
        const { status } = await ask(`${url}/predict`, { json: { inputs: 'hello' }, headers: as(KEYS.calm) })
        times.push(Date.now() - began)
        if (status !== 200) failed += 1
        await delay(50)
      }
      return times
    }
    await measure()
    const alone = await measure()
    const long = Array.from({ length: 200 }, (_, index) => `${index} ${'many words '.repeat(40)}`)
    const sent = { calls: 0, predictions: 0, batches: 0 }
    const flood = new Period()
    for (let callers = 0; callers < 8; callers += 1) {
      flood.every(20, async () => {
        await ask(`${url}/predict`, { json: { inputs: long.slice(0, 32) }, headers: as(KEYS.flood) })
        sent.calls += 1
      })
    }
    flood.every(100, async () => {
      await ask(`${url}/v1/predictions`, { json: { input: { inputs: long } }, headers: as(KEYS.flood) })
      sent.predictions += 1
    })
    flood.every(2_000, async () => {
      await new BatchCaller(url, KEYS.flood).run(lines(2_000, (index) => long[index % long.length] ?? ''))
      sent.batches += 1
    })
    const over = flood.last(600_000)
    await delay(2_000)
    const beside = await measure()
    flood.end()
    await over
    const [before, during] = [percentile(alone, 0.99), percentile(beside, 0.99)]
    return {
      faults: `a flood of another key: ${sent.calls} calls of 32 texts, ${sent.predictions} predictions of 200, ${sent.batches} batches of 2,000`,
      figure: `${alone.length} calls alone: ${spread(alone)}; ${beside.length} during the flood: ${spread(beside)}; p99 ${before} ms and ${during} ms, ratio ${(during / before).toFixed(1)}; failed ${failed}${before > CALM_MS ? '; not judged, because the machine was busy before the flood' : ''}`,
      checks: [
        [`the p99 rose from ${before} to ${during} ms`, before > CALM_MS || during <= before + MAX_DELAY_MS],
        [`${failed} calls failed`, failed === 0],
      ],
    }
  },
}
