import { hostileBodies } from '../../helpers/hostile-bodies.ts'
import { ask, call, metric } from '../runner/calls.ts'
import type { Scenario } from '../runner/scenario.ts'

const MAX_RATIO = 5
const MAX_ANSWER = 65_536

export const scenario: Scenario = {
  promise:
    'A refusal costs the api no more than five valid requests of the same size, and answers with less than 64 kB.',
  async run({ pick, start }) {
    const bytes = pick(200_000, 1_000_000)
    const repeats = pick(2, 7)
    const { url } = await start({ apiEnv: { LOG_LEVEL: 'error' } })
    let largest = 0
    /** CPU milliseconds of the api, the least of several: garbage collections add to single ones. */
    const cost = async (route: string, body: string) => {
      const times: number[] = []
      for (let repeat = 0; repeat < repeats; repeat += 1) {
        const before = await metric(url, 'process_cpu_seconds_total')
        const response = await call(url + route, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body,
        })
        const answer = await response.text()
        times.push(((await metric(url, 'process_cpu_seconds_total')) - before) * 1_000)
        if (response.status >= 400) largest = Math.max(largest, answer.length)
        const { urls } = JSON.parse(answer) as { urls?: { cancel: string } }
        if (urls) await ask(urls.cancel, { method: 'POST' })
      }
      return Math.min(...times)
    }
    const texts = Array.from({ length: 1_000 }, (_, index) => `${'x'.repeat(bytes / 1_000 - 20)}${index}`)
    const requests = texts.map((inputs, index) => ({ custom_id: `${index}`, body: { inputs } }))
    const valid = {
      prediction: await cost('/v1/predictions', JSON.stringify({ input: { inputs: texts } })),
      batch: await cost('/v1/batches', JSON.stringify({ endpoint: '/predict', completion_window: '1s', requests })),
    }
    const ratios: [number, string][] = []
    for (const [what, route, body] of hostileBodies(bytes)) {
      const ms = await cost(route.replace('/tiny', '/tiny-fp32'), body)
      ratios.push([ms / (route === '/v1/batches' ? valid.batch : valid.prediction), what])
    }
    const [worst = 0, what = ''] = ratios.toSorted(([a], [b]) => b - a)[0] ?? []
    return {
      faults: `${ratios.length} bodies of ${bytes / 1_000} kB that are expensive to refuse`,
      figure: `worst: ${worst.toFixed(1)} valid requests of CPU time (${what}; a valid prediction takes ${valid.prediction.toFixed(0)} ms); largest answer ${Math.ceil(largest / 1_024)} kB`,
      checks: [
        [`"${what}" costs ${worst.toFixed(1)} valid requests`, worst <= MAX_RATIO],
        [`an answer has ${largest} bytes`, largest < MAX_ANSWER],
      ],
    }
  },
}
