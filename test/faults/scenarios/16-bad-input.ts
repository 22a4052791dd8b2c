import fc from 'fast-check'
import { hostileBodies } from '../../helpers/hostile-bodies.ts'
import { call, metric } from '../runner/calls.ts'
import { megabytes } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

const MAX_BODY = 200_000
const ROUTES = ['/predict', '/models/tiny-fp32', '/invocations', '/v1/predictions', '/v1/batches', '/v1/files']
const MAX_GROWTH = 100 * 1_048_576

export const scenario: Scenario = {
  promise: 'Bad input gets a 4xx, never a 5xx, and reaches no worker.',
  async run({ pick, start }) {
    const cluster = await start()
    const { url } = cluster
    const counts = new Map<number, number>()
    let largest = 0
    const post = async (path: string, body: string, type = 'application/json') => {
      const send = () => call(url + path, { method: 'POST', headers: { 'Content-Type': type }, body })
      // A connection that the api has just closed may be used once more by the client.
      const response = await send().catch(send)
      largest = Math.max(largest, (await response.arrayBuffer()).byteLength)
      counts.set(response.status, (counts.get(response.status) ?? 0) + 1)
    }
    const memory = () => metric(url, 'process_resident_memory_bytes')
    const before = await memory()
    for (const [, path, body] of hostileBodies(MAX_BODY)) await post(path.replace('/tiny', '/tiny-fp32'), body)
    const bodies = fc.oneof(
      fc.json(),
      fc.string({ unit: 'binary' }),
      fc
        .dictionary(fc.constantFrom('inputs', 'text', 'input', 'model', 'requests', 'metadata', 'x'), fc.jsonValue())
        .map((each) => JSON.stringify(each)),
    )
    const types = fc.constantFrom(
      'application/json',
      'application/json',
      'text/plain',
      'multipart/form-data; boundary=x',
      '',
    )
    const sample = fc.sample(fc.tuple(fc.constantFrom(...ROUTES), bodies, types), pick(400, 5_000))
    for (const [path, body, type] of sample) await post(path, body, type)
    const failed = [...counts].filter(([status]) => status >= 500).reduce((sum, [, count]) => sum + count, 0)
    const growth = (await memory()) - before
    const shown = [...counts].toSorted(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`)
    return {
      faults: `${sample.length} random and ${hostileBodies(1_000).length} hostile bodies`,
      figure: `${shown.join(', ')}; 5xx ${failed}; largest answer ${Math.round(largest / 1_024)} kB; the api grew by ${megabytes(growth)}`,
      checks: [
        [`${failed} answers are 5xx`, failed === 0],
        ['an answer exceeds 64 kB', largest < 65_536],
        [`the api grew by ${megabytes(growth)}`, growth < MAX_GROWTH],
        ['an inference process ended', cluster.crashes === 0],
      ],
    }
  },
}
