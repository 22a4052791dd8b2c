// Adds jobs to queues and removes them.
import { once } from 'node:events'
import { type JobsOptions, Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { messageOf } from '../errors.ts'
import { isScriptCacheMiss, toServiceUnavailable } from '../redis/errors.ts'
import { enterJob, leaveJob } from './flow.ts'
import type { BatchJob, DeliveryJob, JobName, TextsJob } from './job.ts'
import { rewriteJob } from './job-state.ts'
import { BATCHES_QUEUE, queuePrefix, WEBHOOKS_QUEUE } from './names.ts'
import { RESULT_VERSION } from './result-columns.ts'

/** Retries of infrastructure errors; an input error is an error of its row and never fails a job. */
const RETRIES = { attempts: 3, backoff: { type: 'exponential', delay: 500, jitter: 0.5 } } satisfies JobsOptions
/** BullMQ's event streams have no reader here, so they stay short. */
const MAX_EVENTS = 100
/** The owner of jobs of a version before owners were sent. */
const DEFAULT_OWNER = 'public'
const RECONNECT_MS = 2_000
/** The owners of deliveries take turns by their number. */
const WORK_OF_DELIVERY = 10
/** An unexpected error never ends a delivery. */
const DELIVERY_RETRIES = { attempts: 1_000_000, backoff: { type: 'fixed', delay: 5_000 } } satisfies JobsOptions

export class Producer {
  readonly #redis: Redis
  readonly #onError: (error: Error) => void
  readonly #resultVersion: () => number
  readonly #queues = new Map<string, Queue>()

  /**
   * @param redis a producerConnection, which the caller closes.
   * @param resultVersion the version of results that workers may write.
   */
  constructor(redis: Redis, onError: (error: Error) => void, resultVersion = () => RESULT_VERSION) {
    this.#redis = redis
    this.#onError = onError
    this.#resultVersion = resultVersion
  }

  /** The BullMQ queue of that name. Queues are cached, so names must come from known models. */
  queue(name: string): Queue {
    const known = this.#queues.get(name)
    if (known) return known
    const queue = new Queue(name, {
      connection: this.#redis,
      prefix: queuePrefix(name),
      skipWaitingForReady: true,
      skipVersionCheck: true,
      streams: { events: { maxLen: MAX_EVENTS } },
      defaultJobOptions: RETRIES,
    })
    queue.on('error', this.#onError)
    this.#queues.set(name, queue)
    return queue
  }

  /**
   * Adds a job under the given id, in the fair order of its owner; a job that exists under this id is left unchanged.
   * @param work estimated milliseconds of one inference process.
   * @throws AppError 503 when Redis cannot be reached.
   */
  async add(
    queue: string,
    name: JobName,
    jobId: string,
    data: TextsJob,
    keep: JobsOptions,
    work: number,
  ): Promise<void> {
    const priority = await this.#enter(queue, jobId, data, work)
    if (priority === undefined) return
    const attempts = data.retries === undefined ? {} : { attempts: 1 + data.retries }
    await this.#add(queue, name, jobId, { ...data, results: this.#resultVersion() }, { ...keep, ...attempts, priority })
  }

  /**
   * Runs an ended job again, with other data, as a new one in the fair order of its owner. Repeating it while it waits or runs
   * changes nothing.
   * @returns false when it does not exist, or has not ended. @throws AppError 503 when Redis cannot be reached.
   */
  async runAgain(queue: string, jobId: string, data: TextsJob, work: number): Promise<boolean> {
    const job = await this.#tryTwice(() => this.queue(queue).getJob(jobId))
    if (job?.finishedOn === undefined) return false
    const state = job.failedReason === undefined || job.returnvalue !== null ? 'completed' : 'failed'
    const priority = (await this.#enter(queue, jobId, data, work, true)) ?? 1
    await rewriteJob(this.#redis, { queue, id: jobId }, { ...data, results: this.#resultVersion() }, priority)
    const options = { resetAttemptsMade: true, resetAttemptsStarted: true }
    return this.#tryTwice(() => job.retry(state, options).then(() => true, falseIfNotEnded))
  }

  async #enter(
    queue: string,
    jobId: string,
    { owner = DEFAULT_OWNER, weight = 1, due }: TextsJob,
    work: number,
    again = false,
  ): Promise<number | undefined> {
    try {
      return await enterJob(this.#redis, queue, jobId, { owner, weight, work, due, again })
    } catch (error) {
      throw toServiceUnavailable(error)
    }
  }

  /** Adds a batch's job unless it exists. @throws AppError 503 when Redis cannot be reached. */
  async addBatch(jobId: string, data: BatchJob): Promise<void> {
    await this.#add(BATCHES_QUEUE, 'batch', jobId, data, { removeOnComplete: true, removeOnFail: true })
  }

  /** Adds the job of a delivery, in the fair order of its owner, unless it exists. @throws AppError 503. */
  async addDelivery(jobId: string, data: DeliveryJob, weight: number): Promise<void> {
    const flow = { owner: data.owner, weight, work: WORK_OF_DELIVERY }
    const priority = await enterJob(this.#redis, WEBHOOKS_QUEUE, jobId, flow).catch((error: unknown) => {
      throw toServiceUnavailable(error)
    })
    if (priority === undefined) return
    const keep = { ...DELIVERY_RETRIES, removeOnComplete: true, removeOnFail: true, priority }
    await this.#add(WEBHOOKS_QUEUE, 'delivery', jobId, data, keep)
  }

  async #add(queueName: string, name: string, jobId: string, data: object, keep: JobsOptions): Promise<void> {
    await this.#tryTwice(() => this.queue(queueName).add(name, data, { ...keep, jobId }))
  }

  /** Removes a waiting or ended job; false when there is none, or a worker has it locked. */
  async remove(queueName: string, jobId: string): Promise<boolean> {
    const removed = await this.#tryTwice(() => this.queue(queueName).remove(jobId))
    if (removed === 1) await leaveJob(this.#redis, queueName, jobId)
    return removed === 1
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#queues.values()].map((queue) => queue.close()))
  }

  async #tryTwice<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command()
    } catch (error) {
      if (!isScriptCacheMiss(error)) throw toServiceUnavailable(error)
    }
    try {
      // Another caller may have closed it; while it is opened again, a second call would end it for good.
      if (this.#redis.status === 'ready') this.#redis.disconnect(true)
      await once(this.#redis, 'ready', { signal: AbortSignal.timeout(RECONNECT_MS) })
      return await command()
    } catch (error) {
      throw toServiceUnavailable(error)
    }
  }
}

/** BullMQ's error of a retry whose job has been retried meanwhile. @throws every other error. */
function falseIfNotEnded(error: unknown): boolean {
  if (/is not in the (completed|failed) state/.test(messageOf(error))) return false
  throw error
}
