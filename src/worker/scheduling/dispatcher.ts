// Dispatcher: adds the texts of jobs to the backlog, sends runs to inference processes, and sets the row of each text.
import type { Item, Row } from '../../queue/job.ts'
import type { Lane } from '../../queue/names.ts'
import type { LostCause, RunOutcome, RunTask } from '../inference/inference-process.ts'
import type { RunColumns, TextColumns } from '../inference/ipc.ts'
import { Backlog, type Run } from './backlog.ts'
import { BusyShare } from './busy-share.ts'
import { type CompletedRun, completedRun } from './completed-run.ts'
import type { CostModel } from './cost-model.ts'
import type { Entry } from './length-buckets.ts'
import { type JobTexts, PendingJob, type PendingJobEnd } from './pending-job.ts'
import { rowOf } from './result-row.ts'

/** The methods of the process pool that the dispatcher uses. */
export interface Inference {
  /** Whether a process can take a run now. */
  readonly hasRoom: boolean
  /** Whether a process has no run. */
  readonly isIdle: boolean
  run(task: RunTask): Promise<RunOutcome>
}

/** Events for metrics and the log. */
export interface DispatcherEvents {
  ran: (model: string, run: CompletedRun) => void
  queued: (model: string, lane: Lane, ms: number) => void
  /** A run threw and was bisected `times` times, or its process ended. */
  broken: (model: string, cause: 'error' | LostCause, times: number, errorMessage?: string) => void
  /** The outcomes of texts, each once. */
  rows: (model: string, rows: readonly Row[]) => void
}

export interface DispatcherOptions {
  inference: Inference
  /** Inference processes. */
  processes: number
  costModel: CostModel
  /** Longest input of a model in tokens. */
  maxTokens: (model: string) => number
  /**
   * Processes that may compute suspected texts, or the lower lanes while interactive traffic is recent: all but one, at
   * least one.
   */
  maxBackgroundProcesses: number
  /** RUN_TIMEOUT in milliseconds; undefined: derived from the estimated duration of the run. */
  runTimeout: number | undefined
  events: DispatcherEvents
  now?: () => number
}

/** A submitted job. */
export interface Computation {
  readonly end: Promise<PendingJobEnd>
  /** Epoch milliseconds of its first run; undefined: none yet. */
  readonly startedAt: number | undefined
  /** Drops the texts that wait; runs in flight go on. */
  cancel(): void
  /** The deadline has passed: ends the job as `expired` when none of its texts has run, else as `canceled`. */
  expire(): void
}

const TIMEOUT_FACTOR = 20
const MIN_TIMEOUT_MS = 2_000
const MAX_TIMEOUT_MS = 10_000

/** Errors of a text that killed its process alone. */
const FATAL: Record<LostCause, string> = {
  crash:
    'the inference process ended while it computed this text; if the text is long, maxTokens in the inferq.json of the model limits the memory that it takes',
  timeout: 'the model exceeded the timeout on this text',
  memory:
    'the model exceeded INFERENCE_MEMORY on this text; if the text is long, maxTokens in the inferq.json of the model limits the memory that it takes',
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #backlog: Backlog<PendingJob>
  readonly #now: () => number
  readonly #pending = new Set<PendingJob>()
  readonly #busy = new BusyShare()
  #suspectsRunning = 0
  #backgroundRunning = 0
  /** Called at the end of each run, whatever became of it. */
  onRunEnd: () => void = () => undefined
  /** Models that are no longer served. */
  readonly #removedModels = new Set<string>()
  #closed = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#backlog = new Backlog((model) => options.costModel.budget(model))
    this.#now = options.now ?? Date.now
  }

  submit(texts: JobTexts): Computation {
    const job = new PendingJob(texts, this.#options.maxTokens(texts.model))
    if (this.#closed || this.#removedModels.has(job.model)) job.finish({ kind: 'requeued' })
    else {
      this.#pending.add(job)
      void job.end.then(() => this.#pending.delete(job))
      this.#backlog.add(job, this.#now())
      this.pump()
    }
    return {
      end: job.end,
      get startedAt() {
        return job.startedAt
      },
      cancel: () => this.#cancel(job),
      expire: () => this.#expire(job),
    }
  }

  /** Estimated milliseconds of one process that the pending jobs of a lane of a model still take. */
  heldMs(model: string, lane: Lane): number {
    let ms = 0
    for (const job of this.#pending) {
      if (job.model !== model || job.lane !== lane) continue
      const jobMs = this.#options.costModel.estimateMs(model, job.totalTokens)
      ms += jobMs * (job.missing / job.estimatedTokens.length)
    }
    return ms
  }

  /** Owners whose interactive texts arrived in the last two seconds. */
  get recentOwners(): number {
    return this.#backlog.recentOwners(this.#now())
  }

  /** The share of the last seconds' compute that interactive runs took, 0 to 1. */
  get interactiveShare(): number {
    return this.#busy.share(this.#now())
  }

  /**
   * Ends every pending job as `handed_back`, and every job that is submitted from now on.
   * @param suspects false: jobs with texts that may have ended a process are kept. Given back, they would end the processes of
   * the worker that takes them next, and no text would ever be found to be the cause.
   */
  requeueAll({ suspects = true } = {}): void {
    this.#closed = true
    for (const job of this.#pending) if (suspects || !this.#backlog.isSuspect(job)) this.#requeue(job)
  }

  /** Accepts jobs again after `requeueAll`. */
  acceptJobs(): void {
    this.#closed = false
  }

  /** Ends every pending job of a model that is no longer served as `handed_back`, and those submitted from now on. */
  requeueModel(model: string): void {
    this.#removedModels.add(model)
    for (const job of this.#pending) if (job.model === model) this.#requeue(job)
  }

  /** Accepts jobs of a model again that is served again. */
  restoreModel(model: string): void {
    this.#removedModels.delete(model)
  }

  /** Sends runs while texts wait and a process can take one; the caller calls it when a process becomes ready. */
  pump(): void {
    const { inference, maxBackgroundProcesses } = this.#options
    for (const job of this.#backlog.expire(this.#now())) job.finish({ kind: 'expired' })
    while (inference.hasRoom) {
      const run = this.#backlog.nextRun(this.#now(), {
        suspect: this.#suspectsRunning < maxBackgroundProcesses,
        idle: inference.isIdle,
        background: inference.isIdle && this.#backgroundRunning < maxBackgroundProcesses,
      })
      if (!run) return
      void this.#send(run)
    }
  }

  #cancel(job: PendingJob): void {
    this.#backlog.drop(job)
    job.cancel()
  }

  #expire(job: PendingJob): void {
    if (job.startedAt !== undefined) return this.#cancel(job)
    this.#backlog.drop(job)
    job.finish({ kind: 'expired' })
  }

  #requeue(job: PendingJob): void {
    this.#backlog.drop(job)
    job.finish({ kind: 'requeued' })
  }

  async #send(run: Run<PendingJob>): Promise<void> {
    const { inference, costModel, runTimeout } = this.#options
    const startedAt = this.#now()
    this.#recordQueueTimes(run, startedAt)
    const expectedMs = costModel.estimateMs(run.model, run.paddedTokens)
    const timeoutMs = runTimeout ?? Math.min(Math.max(TIMEOUT_FACTOR * expectedMs, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS)
    if (run.suspect) this.#suspectsRunning += 1
    if (run.lane !== 'interactive') this.#backgroundRunning += 1
    const columns = columnsOf(run.entries)
    const outcome = await inference.run({ model: run.model, columns, expectedMs, timeoutMs, suspect: run.suspect })
    if (run.suspect) this.#suspectsRunning -= 1
    if (run.lane !== 'interactive') this.#backgroundRunning -= 1
    if (outcome.kind === 'ran') this.#settle(run, outcome.columns, outcome.ms)
    else this.#recoverLostRun(run, outcome)
    this.pump()
    this.onRunEnd()
  }

  #recordQueueTimes(run: Run<PendingJob>, startedAt: number): void {
    for (const { group } of run.entries) {
      if (group.startedAt !== undefined) continue
      group.startedAt = startedAt
      this.#options.events.queued(run.model, group.lane, Math.max(0, startedAt - group.job.createdAt))
    }
  }

  #settle(run: Run<PendingJob>, columns: RunColumns, ms: number): void {
    const { costModel, events } = this.#options
    const { model, entries } = run
    if (run.lane === 'interactive') this.#busy.add(this.#now(), ms / this.#options.processes)
    const completed = completedRun(entries, columns, ms)
    if (completed.tokens > 0) costModel.observe(model, completed.tokens, entries.length, ms)
    events.ran(model, completed)
    if (columns.bisections > 0 || columns.errorMessage !== undefined) {
      events.broken(model, 'error', columns.bisections, columns.errorMessage)
    }
    const errors = new Map(columns.errors)
    const rows = entries.map(({ group }, position) => {
      return rowOf(columns, position, entries.length, errors.get(position), group.queueMs)
    })
    events.rows(model, rows)
    entries.forEach(({ group, index }, position) => group.put(index, rows[position] as Row))
  }

  /**
   * Handles the end of the process. A run that it was not computing is requeued; the texts of the run that it was
   * computing run again alone, and a text that ends its process alone gets an error.
   */
  #recoverLostRun(run: Run<PendingJob>, { cause, wasRunning }: RunOutcome & { kind: 'lost' }): void {
    const { costModel, events } = this.#options
    const entries = run.entries.filter(({ group }) => !group.finished)
    if (wasRunning && cause === 'timeout') costModel.distrust(run.model)
    if (!wasRunning) return run.suspect ? this.#backlog.quarantine(entries) : this.#backlog.requeue(entries)
    events.broken(run.model, cause, 1)
    if (!run.suspect) return this.#backlog.quarantine(entries)
    const row: Row = { error: { code: 'Backend', message: FATAL[cause] } }
    events.rows(
      run.model,
      entries.map(() => row),
    )
    for (const { group, index } of entries) group.put(index, row)
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
