// The expected end of a batch, by the measured speed of its models. It is estimated before bodies are checked, so a body that
// is invalid counts by the texts that it seems to have.
import { AppError } from '../../errors.ts'
import type { FleetView, ServedModel } from '../../fleet/fleet.ts'
import { isMeasured, workOf } from '../../fleet/work.ts'
import { checkDeadline } from '../../predict/admission.ts'
import { parseReference } from '../../predict/model-resolver.ts'
import type { Item } from '../../queue/job.ts'
import { modelOfEndpoint } from '../endpoints.ts'

export interface ExpectedEndOptions {
  fleet: Pick<FleetView, 'get' | 'wait'>
  defaultModel: string
  weightOf: (owner: string) => number
}

export class ExpectedEnd {
  readonly #options: ExpectedEndOptions
  readonly #owner: string
  readonly #model: string | undefined
  readonly #work = new Map<string, number>()

  constructor(options: ExpectedEndOptions, owner: string, endpoint: string) {
    this.#options = options
    this.#owner = owner
    this.#model = modelOfEndpoint(endpoint)
  }

  /** Adds a request. A model that is not known counts nothing: the row gets its error, or waits. */
  add(body: unknown): void {
    const { model: wanted, inputs, text } = (body ?? {}) as { model?: unknown; inputs?: unknown; text?: unknown }
    const { fleet, defaultModel } = this.#options
    const name = this.#model ?? (typeof wanted === 'string' ? wanted : defaultModel)
    const model = fleet.get(parseReference(name)?.name ?? '')
    if (!model) return
    const items = [inputs ?? text].flat(2).flatMap(itemOf)
    const work = workOf(model.costs, items, model.current.maxTokens)
    this.#work.set(model.name, (this.#work.get(model.name) ?? 0) + work)
  }

  /** Milliseconds to the end, and those that it takes without other work; both 0 while a speed is unknown. */
  get ms(): { end: number; alone: number } {
    const { fleet, weightOf } = this.#options
    let [end, alone] = [0, 0]
    for (const [name, work] of this.#work) {
      const model: ServedModel | undefined = fleet.get(name)
      if (!model || !isMeasured(model)) return { end: 0, alone: 0 }
      end = Math.max(end, fleet.wait(model, 'bulk', this.#owner, weightOf, { work }))
      alone = Math.max(alone, (work * model.slowdown) / model.processes)
    }
    return { end, alone }
  }

  /**
   * @param completeBy epoch milliseconds. @throws AppError 422 or OverloadedError (429) with `earliest_completion` when the batch
   * cannot end by then.
   */
  requireBy(completeBy: number): void {
    const { end, alone } = this.ms
    const within = completeBy - Date.now()
    if (within > 0) return checkDeadline(end, alone, within, Math.random())
    const errors = [{ path: 'complete_by', message: 'has passed' }]
    const earliest = new Date(Date.now() + end).toISOString()
    const members = { errors, code: 'deadline_unreachable', earliest_completion: earliest }
    throw new AppError('Validation', 422, 'complete_by: has passed', { members })
  }
}

/** What a valid body has as a text, a pair, or an object with one or both. */
function itemOf(given: unknown): Item[] {
  if (typeof given === 'string') return [{ text: given }]
  const { text, text_pair: pair } = (given ?? {}) as { text?: unknown; text_pair?: unknown }
  if (typeof text !== 'string') return []
  return [typeof pair === 'string' ? { text, pair } : { text }]
}
