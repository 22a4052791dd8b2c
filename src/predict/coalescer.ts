// Groups items that callers submit at the same time. The unit of the queue is a group of texts, not a text.

export interface CoalescerOptions<In, Out> {
  /** The part of a full group that an item takes; a full group is sent immediately. */
  shareOf: (item: In) => number
  /**
   * Resolves with one value or Error an item, in order.
   * @param onAccepted called when the group is handed over, and its outcome is awaited.
   */
  send: (items: In[], onAccepted: () => void) => Promise<Array<Out | Error>>
  /** Schedules the sending of a group; by default after this turn of the event loop. */
  schedule?: (send: () => void) => void
}

interface Waiting<In, Out> {
  item: In
  resolve: (value: Out) => void
  reject: (error: Error) => void
}

/** One, less the rounding of a sum. */
const FULL = 1 - 1e-9

/**
 * Sends the items of one turn of the event loop as one group; no timer delays a single caller. Items that arrive while a
 * group is being handed over form the next group, so that groups grow with the load (group commit; DeWitt et al.,
 * "Implementation techniques for main memory database systems", 1984).
 */
export class Coalescer<In, Out> {
  readonly #options: CoalescerOptions<In, Out>
  readonly #schedule: (send: () => void) => void
  #gathered: Waiting<In, Out>[] = []
  #share = 0
  /** Groups that are being handed over. */
  #sending = 0

  constructor(options: CoalescerOptions<In, Out>) {
    this.#options = options
    this.#schedule = options.schedule ?? setImmediate
  }

  /** Resolves with this item's outcome; rejects with its error, or with the error of its group. */
  submit(item: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ item, resolve, reject })
      this.#share += this.#options.shareOf(item)
      if (this.#share >= FULL) this.#send()
      else if (this.#gathered.length === 1) this.#sendNext()
    })
  }

  /** Sends the group that gathers, after this turn, unless one is being handed over. */
  #sendNext(): void {
    const group = this.#gathered
    if (this.#sending === 0) this.#schedule(() => this.#gathered === group && this.#sending === 0 && this.#send())
  }

  #send(): void {
    const group = this.#gathered
    if (group.length === 0) return
    this.#gathered = []
    this.#share = 0
    this.#sending += 1
    let accepted = false
    const onAccepted = () => {
      if (accepted) return
      accepted = true
      this.#sending -= 1
      if (this.#sending === 0) this.#send()
    }
    const items = group.map(({ item }) => item)
    this.#options
      .send(items, onAccepted)
      .finally(onAccepted)
      .then(
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
