// Finds consumers that stopped taking jobs, for example because their connection is dead although its socket is open.

/** A consumer, as the watch sees it. */
export interface WatchedConsumer {
  readonly queue: string
  /** Jobs taken since its start. */
  readonly taken: number
  /** Whether it could take another job now. */
  readonly hasFreeSlot: boolean
}

export interface LaneWatchOptions<C extends WatchedConsumer> {
  consumers: () => C[]
  /** The number of waiting jobs of each queue; 0 for a queue that is paused. @throws errors of Redis. */
  readWaiting: (queues: string[]) => Promise<number[]>
  /** Called with a consumer that takes no jobs; a new one takes its place. */
  replace: (consumer: C) => void
  now?: () => number
}

/** A consumer with a free slot takes a waiting job within milliseconds. */
const STUCK_MS = 5_000

interface Suspicion {
  consumer: WatchedConsumer
  taken: number
  since: number
  /** Whether a new consumer was created for the queue, and has taken no job since. */
  isReplaced: boolean
}

export class LaneWatch<C extends WatchedConsumer> {
  readonly #options: LaneWatchOptions<C>
  readonly #now: () => number
  /** By queue. */
  readonly #suspicions = new Map<string, Suspicion>()
  #stuck: string | undefined

  constructor(options: LaneWatchOptions<C>) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** A queue whose jobs are not taken, although its consumer was replaced; undefined when there is none. */
  get stuck(): string | undefined {
    return this.#stuck
  }

  /** Compares the queues with their consumers; called about once a second. @throws errors of Redis. */
  async check(): Promise<void> {
    const consumers = this.#options.consumers()
    const waiting = await this.#options.readWaiting(consumers.map(({ queue }) => queue)).catch((error: unknown) => {
      this.reset()
      throw error
    })
    this.#stuck = undefined
    consumers.forEach((consumer, index) => this.#judge(consumer, waiting[index] ?? 0))
  }

  /** Forgets what was seen, while consumers are paused or Redis does not answer. */
  reset(): void {
    this.#suspicions.clear()
    this.#stuck = undefined
  }

  #judge(consumer: C, waiting: number): void {
    const { queue, taken } = consumer
    const known = this.#suspicions.get(queue)
    const since = this.#now()
    if (waiting === 0 || !consumer.hasFreeSlot) this.#suspicions.delete(queue)
    else if (!known || (known.consumer === consumer && known.taken !== taken)) {
      this.#suspicions.set(queue, { consumer, taken, since, isReplaced: false })
    } else if (known.consumer !== consumer) this.#suspicions.set(queue, { ...known, consumer, taken, since })
    else if (since - known.since < STUCK_MS) return
    else if (known.isReplaced) this.#stuck = queue
    else {
      known.isReplaced = true
      this.#options.replace(consumer)
    }
  }
}
