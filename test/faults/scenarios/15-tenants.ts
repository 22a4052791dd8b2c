import { BatchCaller, lines } from '../../helpers/batches.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { ask } from '../runner/calls.ts'
import type { Scenario } from '../runner/scenario.ts'

const KEYS = { alice: 'the-secret-of-alice-0001', bob: 'the-secret-of-bob-000002' }
const MARKER = 'a text that belongs to alice'

export const scenario: Scenario = {
  promise: "No key reads, changes or lists another key's predictions, files or batches, on any route.",
  async run({ start }) {
    const cluster = await start({
      apiEnv: {
        API_KEYS: Object.entries(KEYS)
          .map((entry) => entry.join(':'))
          .join(),
      },
    })
    const { url } = cluster
    const alice = new BatchCaller(url, KEYS.alice)
    const as = (key: string, more: Record<string, string> = {}) => ({ Authorization: `Bearer ${key}`, ...more })
    const prediction = await ask(`${url}/v1/predictions`, {
      json: { input: { text: MARKER }, metadata: { note: MARKER } },
      headers: as(KEYS.alice, { Prefer: 'wait' }),
    })
    const batch = await alice.ended((await alice.run(lines(3, () => MARKER))).id)
    const ids = {
      prediction: (prediction.body as { id: string }).id,
      file: batch.output_file_id as string,
      input: batch.input_file_id,
      batch: batch.id,
    }
    const { body } = await ask(`${url}/openapi.json`, { headers: as(KEYS.bob) })
    const { paths } = body as { paths: Record<string, Record<string, unknown>> }
    const leaks: string[] = []
    let requests = 0
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        for (const target of targetsOf(path, ids)) {
          requests += 1
          const { status, body: answer } = await ask(url + target, {
            method: method.toUpperCase(),
            headers: as(KEYS.bob),
            ...(method === 'post' || method === 'put' ? { json: {} } : {}),
          })
          const text = JSON.stringify(answer) ?? ''
          const names = Object.values(ids).some((id) => text.includes(id) && !target.includes(id))
          const reached = Object.values(ids).some((id) => target.includes(id)) && status < 400
          if (text.includes(MARKER) || names || reached) leaks.push(`${method} ${target}: ${status}`)
        }
      }
    }
    const kept = await waitFor('an answer', async () => {
      const all = [`/v1/predictions/${ids.prediction}`, `/v1/files/${ids.file}/content`, `/v1/batches/${ids.batch}`]
      return (await Promise.all(all.map(async (path) => (await alice.call(path)).status))).every((each) => each === 200)
    })
    return {
      faults: `${requests} requests of one key to every route of the OpenAPI document, with the ids of another key`,
      figure: `leaks ${leaks.length}`,
      checks: [
        [leaks.join('; '), leaks.length === 0],
        ['some routes take an id', requests > 20],
        ["another key's objects were changed", kept],
      ],
    }
  },
}

/** The path with each id that may belong to the route. */
function targetsOf(path: string, ids: Record<string, string>): string[] {
  if (!/\{\w*id\w*\}/i.test(path)) return [path.replaceAll(/\{\w+\}/g, 'tiny-fp32')]
  const fitting = Object.entries(ids).filter(([kind]) => path.includes(`${kind === 'input' ? 'file' : kind}`))
  return fitting.map(([, id]) => path.replace(/\{\w*id\w*\}/i, id).replaceAll(/\{\w+\}/g, 'x'))
}
