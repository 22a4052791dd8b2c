// Groups items that callers submit at the same time. The unit of the queue is a group of texts, not a text.

export interface CoalescerOptions<In, Out> {
  /** A group of this size is sent immediately. */
  maxItems: number
  /** Resolves with one value or Error an item, in order. */
  send: (items: In[]) => Promise<Array<Out | Error>>
  /** Schedules the sending of a group; by default after this turn of the event loop. */
  schedule?: (send: () => void) => void
}

interface Waiting<In, Out> {
  item: In
  resolve: (value: Out) => void
  reject: (error: Error) => void
}

/** Sends the items of one turn of the event loop as one group; no timer delays a single caller. */
export class Coalescer<In, Out> {
  readonly #options: CoalescerOptions<In, Out>
  readonly #schedule: (send: () => void) => void
  #gathered: Waiting<In, Out>[] = []

  constructor(options: CoalescerOptions<In, Out>) {
    this.#options = options
    this.#schedule = options.schedule ?? setImmediate
  }

  /** Resolves with this item's outcome; rejects with its error, or with the error of its group. */
  submit(item: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ item, resolve, reject })
      const group = this.#gathered
      if (group.length === 1) this.#schedule(() => this.#gathered === group && this.#send())
      if (group.length === this.#options.maxItems) this.#send()
    })
  }

  #send(): void {
    const group = this.#gathered
    this.#gathered = []
    const items = group.map(({ item }) => item)
    this.#options.send(items).then(
      (outcomes) => settle(group, outcomes),
      (error: Error) => group.forEach(({ reject }) => reject(error)),
    )
  }
}

function settle<In, Out>(group: Waiting<In, Out>[], outcomes: Array<Out | Error>): void {
  if (outcomes.length !== group.length) {
    const error = new Error(`${outcomes.length} outcomes for ${group.length} items`)
    group.forEach(({ reject }) => reject(error))
    return
  }
  group.forEach(({ resolve, reject }, index) => {
    const outcome = outcomes[index] as Out | Error
    if (outcome instanceof Error) reject(outcome)
    else resolve(outcome)
  })
}
