// Job that waits for its rows, which are set one by one, in any order.
import type { Item, Row, Truncate } from '../../queue/job.ts'
import type { Lane } from '../../queue/names.ts'
import { estimateTokens } from '../../queue/token-estimate.ts'
import type { Group } from './length-buckets.ts'

/** The texts of a job and how they are computed. */
export interface JobTexts {
  model: string
  lane: Lane
  items: readonly Item[]
  truncate: Truncate
  /** Epoch milliseconds of the creation of the job. */
  createdAt: number
  /** The API key's owner, and its relative share of the compute. */
  owner: string
  weight: number
  /** Epoch milliseconds; a job that has not started by then never runs. */
  deadline: number | undefined
  /** Epoch milliseconds by which the caller wants the end; jobs of one owner run in this order. */
  due: number | undefined
  /** Called when the first of its texts is computed. */
  onFirstRow?: (() => void) | undefined
}

/** `canceled`: rows that were not computed have an error. */
export type PendingJobEnd = { kind: 'done' | 'canceled'; rows: Row[] } | { kind: 'expired' | 'requeued' }

const CANCELED: Row = { error: { code: 'Canceled', message: 'canceled before it was computed' } }

export class PendingJob implements Group {
  readonly job: JobTexts
  readonly model: string
  readonly lane: Lane
  readonly estimatedTokens: readonly number[]
  /** The sum of the estimates. */
  readonly totalTokens: number
  readonly owner: string
  readonly weight: number
  readonly deadline: number | undefined
  readonly due: number | undefined
  readonly end: Promise<PendingJobEnd>
  /** Epoch milliseconds of the first run. */
  startedAt: number | undefined
  finished = false
  readonly #rows: Row[]
  #missingRows: number
  #resolve: (end: PendingJobEnd) => void = () => undefined

  constructor(job: JobTexts, maxTokens: number) {
    this.job = job
    this.model = job.model
    this.lane = job.lane
    this.owner = job.owner
    this.weight = job.weight
    this.deadline = job.deadline
    this.due = job.due
    this.estimatedTokens = job.items.map(({ text, pair }) => estimateTokens(text, pair, maxTokens))
    this.totalTokens = this.estimatedTokens.reduce((sum, tokens) => sum + tokens, 0)
    this.#rows = new Array<Row>(job.items.length)
    this.#missingRows = job.items.length
    this.end = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Milliseconds from the creation of the job to its first run; at least 0, as the clocks of two machines differ. */
  get queueMs(): number {
    return Math.max(0, (this.startedAt ?? 0) - this.job.createdAt)
  }

  /** The number of texts without a row. */
  get missing(): number {
    return this.#missingRows
  }

  /** @throws Error when the row was set before. */
  put(index: number, row: Row): void {
    if (this.#rows[index] !== undefined) throw new Error(`row ${index} was set twice`)
    this.#rows[index] = row
    if (this.#missingRows === this.#rows.length) this.job.onFirstRow?.()
    this.#missingRows -= 1
    if (this.#missingRows === 0) this.finish({ kind: 'done', rows: this.#rows })
  }

  /** Ends the job as canceled, with the rows that are computed; none at all when no row is. */
  cancel(): void {
    const computed = this.#missingRows < this.#rows.length
    this.finish({ kind: 'canceled', rows: computed ? Array.from(this.#rows, (row) => row ?? CANCELED) : [] })
  }

  finish(end: PendingJobEnd): void {
    this.finished = true
    this.#resolve(end)
  }
}
