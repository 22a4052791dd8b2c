// Gathers what many callers ask for at the same time. The unit of the queue is a group of texts, not a text.

export interface CoalescerOptions<In, Out> {
  /** A group is sent at once when it has this many items. */
  maxItems: number
  /** Resolves with one value or Error an item, in order. */
  send: (items: In[]) => Promise<Array<Out | Error>>
  /** When a group is sent: by default after this turn of the event loop. */
  schedule?: (send: () => void) => void
}

interface Waiting<In, Out> {
  item: In
  resolve: (value: Out) => void
  reject: (error: Error) => void
}

/** Sends what arrives in one turn of the event loop as one group, so that a lone caller waits for nobody. */
export class Coalescer<In, Out> {
  readonly #options: CoalescerOptions<In, Out>
  readonly #schedule: (send: () => void) => void
  #gathered: Waiting<In, Out>[] = []

  constructor(options: CoalescerOptions<In, Out>) {
    this.#options = options
    this.#schedule = options.schedule ?? setImmediate
  }

  /** Resolves with this item's own answer; rejects with its own error, or with the whole group's. */
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
