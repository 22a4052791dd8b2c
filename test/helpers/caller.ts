// The api's side of the queue for tests: adds jobs and waits for their results.
import type { JobsOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import type { JobName, TextsJob, TextsResult } from '../../src/queue/job.ts'
import type { JobEnd } from '../../src/queue/job-state.ts'
import { type Lane, processId, queueName, replyChannel } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { parseReply } from '../../src/queue/replies.ts'
import { ReplyWaiter } from '../../src/queue/waiter.ts'
import { closeConnection, producerConnection, subscriberConnection } from '../../src/redis/connection.ts'
import { Subscription } from '../../src/redis/subscription.ts'
import { waitFor } from './wait-for.ts'

export interface Call extends Partial<TextsJob> {
  id?: string
  name?: JobName
  lane?: Lane
  keep?: JobsOptions
}

let calls = 0

export class Caller {
  readonly id = processId()
  readonly redis: Redis
  readonly producer: Producer
  readonly waiters: ReplyWaiter
  readonly #replies: Subscription
  readonly #model: string

  constructor(url: string, model: string) {
    const ignore = () => undefined
    this.#model = model
    this.redis = producerConnection({ redisUrl: url }, ignore)
    this.producer = new Producer(this.redis, ignore)
    this.waiters = new ReplyWaiter({ redis: this.redis, onError: ignore })
    this.#replies = new Subscription(
      subscriberConnection({ redisUrl: url }, ignore),
      replyChannel(this.id),
      (message) => {
        const reply = parseReply(message)
        if (reply) this.waiters.onReply(reply.id, reply.result)
      },
    )
  }

  async start(): Promise<this> {
    this.#replies.start()
    this.waiters.start()
    await waitFor('Redis', async () => (await this.redis.ping()) === 'PONG')
    return this
  }

  async stop(): Promise<void> {
    this.#replies.stop()
    await this.waiters.stop()
    await this.producer.close()
    closeConnection(this.redis)
  }

  /** Number of answers by reply message, and by reading the job. */
  get settledBy(): ReplyWaiter['settledBy'] {
    return this.waiters.settledBy
  }

  /** Adds a job with these texts; resolves when it is in Redis. `end` resolves when the job ends. */
  async send(texts: string[], call: Call = {}): Promise<{ id: string; queue: string; end: Promise<JobEnd> }> {
    const { id = `job-${process.pid}-${(calls += 1)}`, name = 'texts', lane = 'interactive', keep = {}, ...data } = call
    const queue = queueName(data.model ?? this.#model, lane)
    const end = this.waiters.wait({ queue, id }, AbortSignal.timeout(60_000))
    end.catch(() => undefined)
    await this.producer.add(
      queue,
      name,
      id,
      {
        v: 1,
        model: this.#model,
        items: texts.map((text) => ({ text })),
        truncate: 'right',
        replyTo: this.id,
        ...data,
      },
      keep,
      1,
    )
    return { id, queue, end }
  }

  /** Adds a job and waits for its result. @throws Error when the job does not complete. */
  async call(texts: string[], call: Call = {}): Promise<TextsResult> {
    const end = await (await this.send(texts, call)).end
    if (end.state !== 'completed') throw new Error(`the job is ${end.state}`)
    return end.result
  }
}
