// Plain calls, which wait for their answer and have no id. Texts that arrive together become one anonymous job.

import { type Interruption, orInterrupted } from '../async.ts'
import { AppError, conflict, timedOut } from '../errors.ts'
import type { ServedModel } from '../fleet/fleet.ts'
import { workOf } from '../fleet/work.ts'
import { type Item, JOB_VERSION, type Row, type TextsResult, type Truncate } from '../queue/job.ts'
import { newTextsJobId } from '../queue/job-ids.ts'
import type { JobEnd, JobRef, JobSnapshot } from '../queue/job-state.ts'
import { queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import { requestJob } from '../queue/request.ts'
import type { ReplyWaiter } from '../queue/waiter.ts'
import type { ApiMetrics } from '../telemetry/metrics.ts'
import { Coalescer } from './coalescer.ts'

/** The options that all texts of one call share. */
export interface SyncRequest {
  model: ServedModel
  /** Only this revision may answer. */
  revision?: string
  truncate: Truncate
  /** The API key's owner, and its share of the compute. */
  owner: string
  weight: number
  /** Epoch milliseconds. */
  deadline: number
  /** The same, when the caller has asked for it: jobs of one owner run in this order. */
  due?: number | undefined
  /** Ends when the caller disconnects or the deadline passes. */
  interruption: Interruption
  traceparent?: string | undefined
}

/** The row of one text, and the result that contained it. */
export interface Answer {
  row: Row
  result: TextsResult
}

export interface SyncPredictorOptions {
  apiId: string
  producer: Producer
  waiters: ReplyWaiter
  metrics: ApiMetrics
  /** Whether a job has the trace contexts of all its callers, and not only of the first. */
  tracesAll: boolean
  /** Stops a job whose callers are all gone. */
  stopJob: (id: string) => Promise<void>
  onError: (error: unknown) => void
}

interface Entry {
  item: Item
  call: SyncRequest
}

/** The most texts in one job (architecture.md, decision 1). */
const MAX_TEXTS = 64
/** The most work in one job while there are several workers, milliseconds a process: as much as a worker takes in advance. */
const MAX_MS = 40

export class SyncPredictor {
  readonly #options: SyncPredictorOptions
  readonly #coalescers = new Map<string, Coalescer<Entry, Answer>>()

  constructor(options: SyncPredictorOptions) {
    this.#options = options
  }

  /**
   * @returns one answer an item, in order; an item that failed has a row with an error.
   * @throws the interruption's reason; AppError 503 when Redis is unavailable, 504, 409 when the pinned revision is not served.
   */
  async predict(items: Item[], call: SyncRequest): Promise<Answer[]> {
    const coalescer = this.#coalescerFor(call)
    const answers = items.map((item) => coalescer.submit({ item, call }))
    return orInterrupted(Promise.all(answers), call.interruption)
  }

  /** Only texts of the same owner, model, revision and truncation share a job. */
  #coalescerFor(call: SyncRequest): Coalescer<Entry, Answer> {
    const key = `${call.model.name}@${call.revision ?? ''} ${call.truncate} ${call.owner}`
    const known = this.#coalescers.get(key)
    if (known) return known
    const coalescer = new Coalescer<Entry, Answer>({ shareOf, send: (...group) => this.#send(...group) })
    this.#coalescers.set(key, coalescer)
    return coalescer
  }

  async #send(entries: Entry[], onAdded: () => void): Promise<Answer[]> {
    const [first] = entries
    if (!first) return []
    const { call } = first
    const job = { queue: queueName(call.model.name, 'interactive'), id: newTextsJobId() }
    const abandoned = allInterrupted(new Set(entries.map((entry) => entry.call.interruption)))
    const data = {
      v: JOB_VERSION,
      model: call.model.name,
      ...(call.revision === undefined ? {} : { revision: call.revision }),
      items: entries.map(({ item }) => item),
      truncate: call.truncate,
      replyTo: this.#options.apiId,
      owner: call.owner,
      weight: call.weight,
      deadline: Math.max(...entries.map((entry) => entry.call.deadline)),
      ...firstDue(entries),
      ...this.#traceOf(entries),
    }
    this.#options.metrics.jobTexts.observe({ model: call.model.name }, entries.length)
    try {
      const request = {
        ...job,
        name: 'texts' as const,
        data,
        // A waiter reads a failed job, so it stays; the cleanup removes it.
        keep: { removeOnComplete: true },
        work: workOf(call.model.costs, data.items, call.model.current.maxTokens),
      }
      const result = finishedResult(await requestJob(this.#options, request, abandoned.signal, onAdded))
      if (result.rows.length !== entries.length) {
        throw new Error(`${result.rows.length} rows for ${entries.length} texts`)
      }
      return result.rows.map((row) => ({ row, result }))
    } catch (error) {
      if (abandoned.signal.aborted) this.#withdraw(job).catch(this.#options.onError)
      throw error
    } finally {
      abandoned.stop()
    }
  }

  #traceOf(entries: Entry[]): { trace?: Record<string, string> } {
    const all = new Set(entries.flatMap(({ call }) => call.traceparent ?? []))
    const [traceparent, ...others] = this.#options.tracesAll ? all : [entries[0]?.call.traceparent]
    if (traceparent === undefined) return {}
    return { trace: { traceparent, ...(others.length === 0 ? {} : { others: others.join(',') }) } }
  }

  /** Removes a job that waits; stops one that a worker has taken. */
  async #withdraw({ queue, id }: JobRef): Promise<void> {
    if (!(await this.#options.producer.remove(queue, id))) await this.#options.stopJob(id)
  }
}

/** The part of a full job that a text takes. A job runs on one worker, so the texts of a large one would leave others idle. */
function shareOf({ item, call: { model } }: Entry): number {
  const { workers, processes, costs, current } = model
  if (workers.length < 2) return 1 / MAX_TEXTS
  const maxMs = (MAX_MS * Math.max(processes, workers.length)) / workers.length
  return Math.max(1 / MAX_TEXTS, workOf(costs, [item], current.maxTokens) / maxMs)
}

/** @throws AppError for every end but `done`. */
export function finishedResult(end: JobEnd | JobSnapshot): TextsResult {
  if (end.state === 'failed' && end.newer) throw end.newer
  if (end.state !== 'completed') throw new AppError('Backend', 424, 'the workers failed on this job')
  switch (end.result.outcome) {
    case 'done':
      return end.result
    case 'aborted':
      throw timedOut('no worker started the job in time')
    case 'canceled':
      throw conflict('the job was canceled')
    case 'revision_gone':
      throw conflict('no worker serves this revision of the model anymore')
  }
}

function firstDue(entries: Entry[]): { due?: number } {
  const dues = entries.flatMap(({ call: { due } }) => (due === undefined ? [] : [due]))
  return dues.length === 0 ? {} : { due: Math.min(...dues) }
}

/** A signal that aborts when all of the interruptions have come. */
function allInterrupted(interruptions: Set<Interruption>): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  let left = interruptions.size
  const stops = [...interruptions].map((interruption) =>
    interruption.listen(() => {
      left -= 1
      if (left === 0) controller.abort(interruption.reason)
    }),
  )
  return { signal: controller.signal, stop: () => stops.forEach((stop) => stop()) }
}
