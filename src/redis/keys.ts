// Keys and channels in Redis. All begin with KEY_PREFIX, so that several deployments can share one Redis and one ACL rule
// covers each of them; queue/names.ts has those of queues and replies.

export const DEFAULT_KEY_PREFIX = 'inferq'

/**
 * Keys are constants of many modules, so the prefix is read when this file is loaded. An invalid one is refused with the
 * other settings (redis/settings.ts), before a connection is opened.
 */
const prefix = process.env['KEY_PREFIX']?.trim() || DEFAULT_KEY_PREFIX

/** A key or channel of this deployment. */
export function redisKey(...parts: string[]): string {
  return [prefix, ...parts].join(':')
}

/** A key of records and heartbeats. */
export function recordKey(...parts: string[]): string {
  return redisKey('r', ...parts)
}

/** The Redis hash of a prediction's record; its id is the job's id. */
export function predictionKey(id: string): string {
  return recordKey('prediction', id)
}

/** A string of the size of the result of an unfinished prediction: it holds the memory until the result is stored. */
export function reservedMemoryKey(id: string): string {
  return recordKey('reserved', id)
}
