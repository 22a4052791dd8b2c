// Keys of records and heartbeats; queue/names.ts has those of queues and replies. All keys and channels in Redis begin
// with `inferq:`, so that one ACL rule covers them.

export function recordKey(...parts: string[]): string {
  return `inferq:r:${parts.join(':')}`
}

/** The Redis hash of a prediction's record; its id is the job's id. */
export function predictionKey(id: string): string {
  return recordKey('prediction', id)
}

/** A string of the size of the result of an unfinished prediction: it holds the memory until the result is stored. */
export function reservedMemoryKey(id: string): string {
  return recordKey('reserved', id)
}
