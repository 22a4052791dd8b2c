// What a worker writes to Redis about a job that it runs, besides the job itself. A failure of one fails no job: each is made
// up for by a process that looks again later.
import type { Redis } from 'ioredis'
import { leaveJob } from '../../queue/flow.ts'
import { forgetStalls, type JobRef } from '../../queue/job-state.ts'
import { publishReply } from '../../queue/replies.ts'
import { forgetDeadline } from '../../records/deadlines.ts'
import { releaseResultMemory } from '../../records/predictions.ts'
import { reportEvent } from '../../records/webhook-events.ts'

export type JobEffects = ReturnType<typeof createJobEffects>

/** @param redis a producerConnection. No function rejects. */
export function createJobEffects(redis: Redis, onError: (error: unknown) => void) {
  return {
    /** Sends a result to the api that waits. @param keep stores it too, since the job is removed. */
    reply: (replyTo: string, id: string, result: object, keep: boolean): void => {
      publishReply(redis, replyTo, { id, result }, keep).catch(onError)
    },
    /** Releases the memory that is reserved for the result of a prediction. */
    release: (model: string, id: string): Promise<void> => releaseResultMemory(redis, model, id).catch(onError),
    /** Forgets how often the lock of a job was lost. */
    forgetStalls: (job: JobRef): Promise<void> => forgetStalls(redis, job).catch(onError),
    /** The job has ended, completed or failed for good. @param deadline of a prediction, epoch milliseconds. */
    ended: ({ queue, id }: JobRef, deadline: number | undefined): void => {
      leaveJob(redis, queue, id).catch(onError)
      if (deadline !== undefined) forgetDeadline(redis, id, deadline).catch(onError)
    },
    /** Reports the start or the end of a prediction whose webhook asks for it. */
    report: (id: string, what: 'start' | 'end'): void => void reportEvent(redis, id, what).catch(onError),
  }
}
