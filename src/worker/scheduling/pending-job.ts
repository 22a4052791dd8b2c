// What one job asks for, and its way to an end: rows come in one by one, in any order.
import type { Item, Row, Truncate } from '../../queue/job.ts'
import { estimateTokens } from './token-estimate.ts'
import type { Group } from './length-buckets.ts'
import type { Lane } from '../../queue/names.ts'

/** The texts of one job, and how it should be treated. */
export interface JobTexts {
  model: string
  lane: Lane
  items: readonly Item[]
  truncate: Truncate
  /** Epoch milliseconds at which the job was made. */
  createdAt: number
  /** Epoch milliseconds; not started by then: never run. */
  deadline: number | undefined
}

export type PendingJobEnd = { kind: 'done'; rows: Row[] } | { kind: 'canceled' | 'expired' | 'requeued' }

/** An order on its way: which rows are there, and what it is waiting for. */
export class PendingJob implements Group {
  readonly job: JobTexts
  readonly model: string
  readonly lane: Lane
  readonly estimatedTokens: readonly number[]
  readonly deadline: number | undefined
  readonly end: Promise<PendingJobEnd>
  startedAt: number | undefined
  finished = false
  readonly #rows: Row[]
  #missing: number
  #resolve: (end: PendingJobEnd) => void = () => undefined

  constructor(order: JobTexts, maxTokens: number) {
    this.job = order
    this.model = order.model
    this.lane = order.lane
    this.deadline = order.deadline
    this.estimatedTokens = order.items.map(({ text, pair }) => estimateTokens(text, pair, maxTokens))
    this.#rows = new Array<Row>(order.items.length)
    this.#missing = order.items.length
    this.end = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Milliseconds from the making of the job to its first run; clocks of two machines may differ. */
  get queueMs(): number {
    return Math.max(0, (this.startedAt ?? 0) - this.job.createdAt)
  }

  put(index: number, row: Row): void {
    if (this.#rows[index] !== undefined) throw new Error(`row ${index} came twice`)
    this.#rows[index] = row
    this.#missing -= 1
    if (this.#missing === 0) this.finish({ kind: 'done', rows: this.#rows })
  }

  finish(end: PendingJobEnd): void {
    this.finished = true
    this.#resolve(end)
  }
}
