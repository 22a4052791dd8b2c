// Adds a job and waits for its end.
import type { JobsOptions } from 'bullmq'
import type { JobName, TextsJob } from './job.ts'
import type { JobEnd, JobRef } from './job-state.ts'
import type { Producer } from './producer.ts'
import type { ReplyWaiter } from './waiter.ts'

export interface JobRequest extends JobRef {
  name: JobName
  data: TextsJob
  keep: JobsOptions
  /** Estimated milliseconds of one inference process. */
  work: number
}

/**
 * Adds the job, or attaches to the one of that id, and resolves with its end. A job that is missing without a reply lost
 * that reply: it is added again under the same id.
 * @param onAdded called when the job is in the queue.
 * @throws the signal's reason once it aborts; AppError 503 when Redis cannot be reached.
 */
export async function requestJob(
  { producer, waiters }: { producer: Producer; waiters: ReplyWaiter },
  { queue, id, name, data, keep, work }: JobRequest,
  signal: AbortSignal,
  onAdded?: () => void,
): Promise<Exclude<JobEnd, { state: 'missing' }>> {
  for (;;) {
    const attempt = new AbortController()
    // The waiter is registered before the job is added, so that no reply arrives too early.
    const end = waiters.wait({ queue, id }, AbortSignal.any([signal, attempt.signal]))
    // The signal may abort while the job is being added, when nothing awaits the end yet.
    end.catch(() => undefined)
    try {
      await producer.add(queue, name, id, data, keep, work)
    } catch (error) {
      attempt.abort(error)
      throw error
    }
    onAdded?.()
    const ended = await end
    if (ended.state !== 'missing') return ended
  }
}
