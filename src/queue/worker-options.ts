// Options that every BullMQ worker shares, and the ways to give a job back.
import { DelayedError, type Job, WaitingError, type Worker, type WorkerOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import { queuePrefix } from './names.ts'

/** The delay of a job of an unknown version, milliseconds: a newer process may take it by then. */
export const UNKNOWN_VERSION_DELAY_MS = 5_000

/** @param redis a consumerConnection. @param concurrency jobs that are fetched at the same time. */
export function workerOptions(queue: string, redis: Redis, concurrency: number) {
  return {
    connection: redis,
    prefix: queuePrefix(queue),
    concurrency,
    autorun: false,
    lockDuration: 10_000,
    stalledInterval: 5_000,
    // The pause after a connection error; BullMQ's default of 15 seconds would lengthen every outage.
    runRetryDelay: 1_000,
    skipVersionCheck: true,
    // An expired lock is no fault of its job: a process was killed, or Redis was away (docs/decisions/0019).
    maxStalledCount: 1_000_000,
  } satisfies WorkerOptions
}

/**
 * Changes how many jobs a worker holds. BullMQ reads the number only when a job ends or arrives, so its loop is woken for a
 * larger one, by an empty entry of its private queue, as its `resume` does.
 */
export function setConcurrency(worker: Worker, concurrency: number): void {
  const isMore = concurrency > worker.concurrency
  worker.concurrency = concurrency
  const { mainLoopQueue } = worker as unknown as { mainLoopQueue: { add(job: Promise<undefined>): void } | null }
  if (isMore) mainLoopQueue?.add(Promise.resolve(undefined))
}

/** Whether the error means that the lock of a job has expired, so that another worker may have taken it. */
export function isLostLock(error: Error): boolean {
  return /^(could not renew lock|Missing lock|Lock mismatch)/i.test(error.message)
}

/** Ends a processor whose lock is lost: the job belongs to another one. @throws WaitingError, which changes nothing. */
export function leaveJob(): never {
  throw new WaitingError()
}

/** Puts a job back for `ms` milliseconds. @throws DelayedError, by which BullMQ ends the processor. */
export async function delayJob(job: Job, token: string | undefined, ms: number): Promise<never> {
  await job.moveToDelayed(Date.now() + ms, token)
  throw new DelayedError()
}

/** Puts a job back at the head of its queue. @throws WaitingError, by which BullMQ ends the processor. */
export async function requeueJob(job: Job, token: string | undefined): Promise<never> {
  await job.moveToWait(token)
  throw new WaitingError()
}
