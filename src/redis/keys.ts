// Keys and channels in Redis. All begin with KEY_PREFIX, so that several deployments can share one Redis and one ACL rule
// covers each of them; queue/names.ts has those of queues and replies. A cluster places a key by the part in braces, its
// tag, and scripts and transactions have keys of one tag: there keys have the tag of their owner or queue, and all others
// share one. Elsewhere keys have no tags, as in every earlier version.
import { isClusterUrl } from './url.ts'

export const DEFAULT_KEY_PREFIX = 'inferq'

/**
 * Keys are constants of many modules, so these settings are read when this file is loaded. Invalid ones are refused with
 * the other settings (redis/settings.ts), before a connection is opened.
 */
const prefix = process.env['KEY_PREFIX']?.trim() || DEFAULT_KEY_PREFIX
/** Whether Redis is a cluster, by REDIS_URL. */
export const isClustered = isClusterUrl(process.env['REDIS_URL']?.trim() ?? '')

const SHARED_TAG = '{shared}'

/** A key or channel of this deployment. */
export function redisKey(...parts: string[]): string {
  return [prefix, ...parts].join(':')
}

/** A key of records and heartbeats, which has the shared tag unless one of its parts is a tag. */
export function recordKey(...parts: string[]): string {
  const isTagged = !isClustered || parts.some((part) => part.startsWith('{'))
  return redisKey('r', ...(isTagged ? parts : [SHARED_TAG, ...parts]))
}

/** The tag of keys on the same node. Without a cluster, the name itself. */
export function keyTag(name: string): string {
  return isClustered ? `{${name}}` : name
}

/** A key of an owner's record or list. @param ownerOrId OWNER, or OWNER_UUID. */
export function ownerKey(kind: string, ownerOrId: string, ...more: string[]): string {
  const [owner = '', ...uuid] = ownerOrId.split('_')
  return recordKey(kind, [keyTag(owner), ...uuid].join('_'), ...more)
}

/** A hash with a field for each owner, which in a cluster are as many hashes. */
export function byOwnerKey(kind: string, owner: string): string {
  return isClustered ? ownerKey(kind, owner) : recordKey(kind)
}

/** The Redis hash of a prediction's record; its id is the job's id. */
export function predictionKey(id: string): string {
  return ownerKey('prediction', id)
}

/**
 * A string of the size of the result of an unfinished prediction: it holds the memory until the result is stored, on the
 * node of the model's queues.
 */
export function reservedMemoryKey(model: string, id: string): string {
  return isClustered ? recordKey('reserved', keyTag(model), id) : recordKey('reserved', id)
}
