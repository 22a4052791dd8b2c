// Takes jobs from the queues of every served model, both lanes, and brings their endings back to BullMQ.
import { type Job, UnrecoverableError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { messageOf } from '../../errors.ts'
import { type JobName, jobNames, type TextsResult } from '../../queue/job.ts'
import { type Lane, queueName } from '../../queue/names.ts'
import { delayJob, requeueJob, UNKNOWN_VERSION_DELAY_MS, workerOptions } from '../../queue/worker-options.ts'
import type { ReceivedJob, JobOutcome } from './job-handler.ts'

export interface ConsumerOptions {
  model: string
  lane: Lane
  /** Jobs that are fetched at once. */
  slots: number
  /** A consumerConnection; stays the caller's to close. */
  redis: Redis
  handle: (arrival: ReceivedJob) => Promise<JobOutcome>
  /** Sends a result to the api that waits. `keep`: the job itself leaves nothing behind. Never rejects. */
  reply: (replyTo: string, id: string, result: TextsResult, keep: boolean) => void
  onOutcome: (
    model: string,
    lane: Lane,
    outcome: TextsResult['outcome'] | Exclude<JobOutcome['kind'], 'answered'>,
  ) => void
  /** The processor itself failed. */
  onFailure: (jobId: string, error: unknown) => void
  /** Errors of BullMQ's own; in a bad hour, thousands. */
  onError: (error: Error) => void
}

/** Another worker may take it by then; of a batch many wait for that one at once, and must not go round and round. */
const OTHER_REVISION_DELAY_MS: Record<Lane, number> = { interactive: 20, bulk: 250 }
/** Such a worker may have started by then. */
const REVISION_AWAY_DELAY_MS = 5_000

export class Consumer {
  readonly #options: ConsumerOptions
  readonly #worker: Worker<unknown, TextsResult>
  #running: Promise<void> | undefined

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.#worker = new Worker<unknown, TextsResult>(
      queueName(options.model, options.lane),
      (job, token) => this.#process(job, token),
      { ...workerOptions(options.redis, options.slots), maxStalledCount: 3 },
    )
    this.#worker.on('error', options.onError)
    // What was answered must be readable, so whatever has an identity is answered only once its job is completed.
    this.#worker.on('completed', (job, result) => {
      if (job.name !== 'texts') options.reply((job.data as { replyTo: string }).replyTo, String(job.id), result, false)
    })
  }

  get model(): string {
    return this.#options.model
  }

  /** Begins to take jobs; to be called when the models are warm. */
  start(): void {
    this.#running ??= this.#worker.run().catch(this.#options.onError)
  }

  /** Takes no new jobs; those that it has go on. */
  async pause(): Promise<void> {
    await this.#worker.pause(true)
  }

  /** Takes jobs again. */
  async resume(): Promise<void> {
    await this.#worker.resume()
  }

  /** Resolves when its last job is completed or handed back; while Redis is away, never. */
  async close(): Promise<void> {
    await this.#worker.close()
  }

  async #process(job: Job<unknown, TextsResult>, token: string | undefined): Promise<TextsResult> {
    const { model, lane, reply, onOutcome } = this.#options
    const id = String(job.id)
    const ending = await this.#handle(id, job)
    onOutcome(model, lane, ending.kind === 'answered' ? ending.result.outcome : ending.kind)
    switch (ending.kind) {
      case 'answered':
        if (job.name === 'texts') reply(ending.replyTo, id, ending.result, true)
        return ending.result
      case 'unknown_version':
        return delayJob(job, token, UNKNOWN_VERSION_DELAY_MS)
      case 'other_revision':
        return delayJob(job, token, OTHER_REVISION_DELAY_MS[lane])
      case 'revision_away':
        return delayJob(job, token, REVISION_AWAY_DELAY_MS)
      case 'handed_back':
        return requeueJob(job, token)
    }
  }

  /** What fails here is stored with the job for everybody to see, so only messages that carry no text get out. */
  async #handle(id: string, job: Job<unknown, TextsResult>): Promise<JobOutcome> {
    const name = jobNames.find((known) => known === job.name)
    if (!name) throw new UnrecoverableError(`jobs named "${job.name}" are not known here`)
    try {
      return await this.#options.handle(receivedJob(id, name, job, this.#options.lane))
    } catch (error) {
      this.#options.onFailure(id, error)
      if (messageOf(error).startsWith('does not fit the job contract')) throw new UnrecoverableError(messageOf(error))
      throw new Error('the worker failed on this job; its log says why')
    }
  }
}

function receivedJob(id: string, name: JobName, { data, timestamp }: Job, lane: Lane): ReceivedJob {
  return { id, name, lane, data, createdAt: timestamp }
}
