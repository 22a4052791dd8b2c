// The ids of what an owner has: `OWNER_UUID` in Redis and in the file store, a prefix and the UUID for clients.
import { isUuid } from './idempotency.ts'

export interface OwnedId {
  owner: string
  uuid: string
}

/** The id in keys, job ids and names of the file store. */
export function keyIdOf({ owner, uuid }: OwnedId): string {
  return `${owner}_${uuid}`
}

/** @throws Error for what keyIdOf did not make. */
export function ownedIdOf(keyId: string): OwnedId {
  const at = keyId.indexOf('_')
  const id = { owner: keyId.slice(0, at), uuid: keyId.slice(at + 1) }
  if (at < 1 || !isUuid(id.uuid)) throw new Error('this is no id of an owner')
  return id
}
