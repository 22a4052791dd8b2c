import { waitFor } from '../../helpers/wait-for.ts'
import { ask } from '../runner/calls.ts'
import { DEFECTIVE, modelsNamed } from '../runner/defective.ts'
import { seconds, spread } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

const LOAD_TIMEOUT_MS = 12_000
const BROKEN = ['a-fails', 'b-crashes', 'c-hangs', 'd-grows']
/** Processes start one after the other, each without the model that ended the one before. */
const LIMIT_MS = 120_000

export const scenario: Scenario = {
  promise:
    'A model that fails, crashes, hangs or takes all memory while it is loaded is refused with the reason; the others are served.',
  async run({ pick, start, directory }) {
    const modelsDir = modelsNamed(directory, [...BROKEN, 'tiny-fp32'])
    const cluster = await start({ workers: 0 })
    const served: number[] = []
    const refused: number[] = []
    const reasons = new Map<string, string>()
    for (let round = 0; round < pick(1, 2); round += 1) {
      const began = Date.now()
      const worker = await cluster.stack.addWorker({
        ...DEFECTIVE,
        MODELS_DIR: modelsDir,
        MODELS: '',
        LOAD_TIMEOUT: `${LOAD_TIMEOUT_MS}ms`,
        INFERENCE_MEMORY: '700mb',
      })
      await waitFor('the other model to be served', async () => {
        return (await ask(`${cluster.url}/predict`, { json: { inputs: 'a', model: 'tiny-fp32' } })).status === 200
      })
      served.push(Date.now() - began)
      await waitFor(
        'the broken models to be refused',
        async () => {
          for (const model of BROKEN) {
            const { status, body } = await ask(`${cluster.url}/predict`, { json: { inputs: 'a', model } })
            const detail = (body as { detail?: string } | undefined)?.detail ?? ''
            if (status === 503 && !detail.includes('tried once more')) reasons.set(model, detail)
            else return false
          }
          return true
        },
        { within: 5 * LOAD_TIMEOUT_MS + 60_000, every: 200 },
      )
      refused.push(Date.now() - began)
      await worker.stop()
      cluster.workers.shift()
      await waitFor('the worker to be gone', async () => (await ask(`${cluster.url}/health`)).status === 503)
    }
    return {
      faults: `models whose load throws, crashes, hangs or grows, next to one that works, on one inference process; LOAD_TIMEOUT ${seconds(LOAD_TIMEOUT_MS)}`,
      figure: `start to the first answer of the other model: ${spread(served)}; to the refusal of all broken ones: ${spread(refused)}`,
      checks: [
        [`the other model was served after ${seconds(Math.max(...served))}`, Math.max(...served) < LIMIT_MS],
        [
          `not refused with a reason: ${JSON.stringify([...reasons])}`,
          BROKEN.every((model) => (reasons.get(model) ?? '').length > 20),
        ],
      ],
    }
  },
}
