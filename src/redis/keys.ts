// The keys of records: what a client was promised, and what processes say of themselves. (Those of queues and replies
// are in queue/names.ts.) All keys and channels in Redis begin with `inferq:`, so that one ACL rule covers them.

export function recordKey(...parts: string[]): string {
  return `inferq:r:${parts.join(':')}`
}

/** The Redis hash of a prediction's record; its id is the job's id. */
export function predictionKey(id: string): string {
  return recordKey('prediction', id)
}

/** The channel on which workers hear the ids of canceled predictions. */
export const CANCEL_CHANNEL = 'inferq:cancel'
