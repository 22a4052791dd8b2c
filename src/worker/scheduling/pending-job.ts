// What one job asks for, and its way to an end: rows come in one by one, in any order.
import type { Item, Row, Truncate } from '../../queue/job.ts'
import { estimateTokens } from './token-estimate.ts'
import type { Group, Lane } from './length-buckets.ts'

/** The texts of one job, and how it should be treated. */
export interface Order {
  model: string
  lane: Lane
  items: readonly Item[]
  truncate: Truncate
  /** Epoch milliseconds at which the job was made. */
  createdAt: number
  /** Epoch milliseconds; not started by then: never run. */
  deadline: number | undefined
}

export type OrderEnd = { kind: 'done'; rows: Row[] } | { kind: 'canceled' | 'expired' | 'handed_back' }

/** An order on its way: which rows are there, and what it is waiting for. */
export class Work implements Group {
  readonly order: Order
  readonly model: string
  readonly lane: Lane
  readonly costs: readonly number[]
  readonly deadline: number | undefined
  readonly end: Promise<OrderEnd>
  startedAt: number | undefined
  finished = false
  readonly #rows: Row[]
  #missing: number
  #resolve: (end: OrderEnd) => void = () => undefined

  constructor(order: Order, maxTokens: number) {
    this.order = order
    this.model = order.model
    this.lane = order.lane
    this.deadline = order.deadline
    this.costs = order.items.map(({ text, pair }) => estimateTokens(text, pair, maxTokens))
    this.#rows = new Array<Row>(order.items.length)
    this.#missing = order.items.length
    this.end = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Milliseconds from the making of the job to its first run; clocks of two machines may differ. */
  get queueMs(): number {
    return Math.max(0, (this.startedAt ?? 0) - this.order.createdAt)
  }

  put(index: number, row: Row): void {
    if (this.#rows[index] !== undefined) throw new Error(`row ${index} came twice`)
    this.#rows[index] = row
    this.#missing -= 1
    if (this.#missing === 0) this.finish({ kind: 'done', rows: this.#rows })
  }

  finish(end: OrderEnd): void {
    this.finished = true
    this.#resolve(end)
  }
}
