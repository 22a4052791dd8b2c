// Texts in, rows out: puts the texts of jobs into the backlog, sends runs to whichever inference process has room, and
// brings each text's row or error back to its job.
import { isFailed, type Item, type Row } from '../../queue/job.ts'
import { type JobTexts, type PendingJobEnd, PendingJob } from './pending-job.ts'
import { rowOf } from './result-row.ts'
import { Backlog, type Run } from './backlog.ts'
import type { RunColumns, TextColumns } from '../inference/ipc.ts'
import type { RunOutcome, RunTask } from '../inference/inference-process.ts'
import type { Entry } from './length-buckets.ts'
import type { Lane } from '../../queue/names.ts'
import type { CostModel } from './cost-model.ts'

/** What the dispatcher needs of the pool. */
export interface Inference {
  readonly hasRoom: boolean
  /** Whether some process has nothing to do. */
  readonly isIdle: boolean
  run(order: RunTask): Promise<RunOutcome>
}

/** What happened, for the metrics. */
export interface DispatcherEvents {
  ran: (model: string, texts: number, ms: number) => void
  queued: (model: string, lane: Lane, ms: number) => void
  /** A run was taken apart, or lost. */
  broken: (model: string, cause: 'error' | 'crash' | 'timeout', times: number, complaint?: string) => void
  rows: (model: string, succeeded: number, failed: number) => void
}

export interface DispatcherOptions {
  inference: Inference
  costModel: CostModel
  /** Longest input of a model in tokens. */
  maxTokens: (model: string) => number
  /** All processes but one, or the only one: more must not work on suspected texts, nor on bulk while people are about. */
  maxBulkProcesses: number
  /** Milliseconds for a run, whatever it should take; undefined: by what it should take. */
  runTimeout: number | undefined
  events: DispatcherEvents
  now?: () => number
}

/** An order that is being worked on. */
export interface Computation {
  readonly end: Promise<PendingJobEnd>
  /** Stops it at the next run. */
  cancel(): void
}

const TIMEOUT_FACTOR = 20
const SHORTEST_TIMEOUT_MS = 2_000
const LONGEST_TIMEOUT_MS = 10_000

/** Why a text alone could not be computed. */
const FATAL = {
  crash: 'the model process ended while it worked on this text',
  timeout: 'the model took too long for this text',
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #backlog: Backlog<PendingJob>
  readonly #now: () => number
  readonly #open = new Set<PendingJob>()
  #suspectsRunning = 0
  #bulkRunning = 0
  /** Models that cannot be served any more. */
  readonly #gone = new Set<string>()
  #closed = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#backlog = new Backlog((model) => options.costModel.budget(model))
    this.#now = options.now ?? Date.now
  }

  submit(order: JobTexts): Computation {
    const work = new PendingJob(order, this.#options.maxTokens(order.model))
    if (this.#closed || this.#gone.has(work.model)) work.finish({ kind: 'requeued' })
    else {
      this.#open.add(work)
      void work.end.then(() => this.#open.delete(work))
      this.#backlog.add(work, this.#now())
      this.pump()
    }
    return { end: work.end, cancel: () => this.#abandon(work, 'canceled') }
  }

  /** Gives back every order that is not finished, and all that still come. */
  requeueAll(): void {
    this.#closed = true
    for (const work of this.#open) this.#abandon(work, 'requeued')
  }

  /** Gives back every order of a model that cannot be served any more, and all that still come. */
  requeueModel(model: string): void {
    this.#gone.add(model)
    for (const work of this.#open) if (work.model === model) this.#abandon(work, 'requeued')
  }

  /** Sends runs for as long as something waits and some process has room. To be called whenever room appears. */
  pump(): void {
    const { inference, maxBulkProcesses } = this.#options
    for (const late of this.#backlog.expire(this.#now())) late.finish({ kind: 'expired' })
    while (inference.hasRoom) {
      const run = this.#backlog.nextRun(this.#now(), {
        suspect: this.#suspectsRunning < maxBulkProcesses,
        bulk: inference.isIdle && this.#bulkRunning < maxBulkProcesses,
      })
      if (!run) return
      void this.#send(run)
    }
  }

  #abandon(work: PendingJob, kind: 'canceled' | 'requeued'): void {
    this.#backlog.drop(work)
    work.finish({ kind })
  }

  async #send(run: Run<PendingJob>): Promise<void> {
    const { inference, costModel, runTimeout } = this.#options
    const startedAt = this.#now()
    this.#noteQueueTimes(run, startedAt)
    const expectedMs = costModel.estimateMs(run.model, run.paddedTokens)
    const timeoutMs =
      runTimeout ?? Math.min(Math.max(TIMEOUT_FACTOR * expectedMs, SHORTEST_TIMEOUT_MS), LONGEST_TIMEOUT_MS)
    if (run.suspect) this.#suspectsRunning += 1
    if (run.lane === 'bulk') this.#bulkRunning += 1
    const columns = columnsOf(run.entries)
    const end = await inference.run({ model: run.model, columns, expectedMs, timeoutMs, suspect: run.suspect })
    if (run.suspect) this.#suspectsRunning -= 1
    if (run.lane === 'bulk') this.#bulkRunning -= 1
    if (end.kind === 'ran') this.#settle(run, end.columns, end.ms)
    else this.#recoverLostRun(run, end)
    this.pump()
  }

  #noteQueueTimes(run: Run<PendingJob>, startedAt: number): void {
    for (const { group } of run.entries) {
      if (group.startedAt !== undefined) continue
      group.startedAt = startedAt
      this.#options.events.queued(run.model, group.lane, Math.max(0, startedAt - group.job.createdAt))
    }
  }

  #settle(run: Run<PendingJob>, columns: RunColumns, ms: number): void {
    const { costModel, events } = this.#options
    const { model, entries } = run
    costModel.observe(model, run.paddedTokens, entries.length, ms)
    events.ran(model, entries.length, ms)
    if (columns.bisections > 0 || columns.errorMessage !== undefined) {
      events.broken(model, 'error', columns.bisections, columns.errorMessage)
    }
    const errors = new Map(columns.errors)
    const rows = entries.map(({ group }, place) => {
      return rowOf(columns, place, entries.length, errors.get(place), group.queueMs)
    })
    const failed = rows.filter(isFailed).length
    events.rows(model, rows.length - failed, failed)
    entries.forEach(({ group, index }, place) => group.put(index, rows[place] as Row))
  }

  /** The process died. Whoever was not at fault goes back; the others run alone, and who dies alone was the poison. */
  #recoverLostRun(run: Run<PendingJob>, { cause, blamed }: RunOutcome & { kind: 'lost' }): void {
    const { events } = this.#options
    const entries = run.entries.filter(({ group }) => !group.finished)
    if (!blamed) return run.suspect ? this.#backlog.quarantine(entries) : this.#backlog.requeue(entries)
    events.broken(run.model, cause, 1)
    if (!run.suspect) return this.#backlog.quarantine(entries)
    events.rows(run.model, 0, entries.length)
    for (const { group, index } of entries) group.put(index, { error: { code: 'Backend', message: FATAL[cause] } })
  }
}

function columnsOf(entries: readonly Entry<PendingJob>[]): TextColumns {
  const items = entries.map(({ group, index }) => group.job.items[index] as Item)
  const columns: TextColumns = {
    texts: items.map(({ text }) => text),
    truncate: entries.map(({ group }) => group.job.truncate),
  }
  if (items.some(({ pair }) => pair !== undefined)) columns.pairs = items.map(({ pair }) => pair)
  return columns
}
