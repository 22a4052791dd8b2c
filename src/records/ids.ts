// Ids of an owner's predictions, files and batches: `OWNER_UUID` in Redis and the file store.

export interface OwnedId {
  owner: string
  uuid: string
}

/** The id in Redis keys, job ids and names of the file store. */
export function keyIdOf({ owner, uuid }: OwnedId): string {
  return `${owner}_${uuid}`
}

/** The inverse of keyIdOf. @throws Error for any other text. */
export function ownedIdOf(keyId: string): OwnedId {
  if (!isOwnedId(keyId)) throw new Error('not an id of an owner')
  const at = keyId.indexOf('_')
  return { owner: keyId.slice(0, at), uuid: keyId.slice(at + 1) }
}

/** Whether the text is an id of an owner. */
export function isOwnedId(text: string): boolean {
  const at = text.indexOf('_')
  return at > 0 && isUuid(text.slice(at + 1))
}

/** Epoch milliseconds in a version 7 UUID; undefined for any other text. */
export function uuidTime(uuid: string): number | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid)) return undefined
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16)
}

/** Whether the text is a UUID of any version, in lower case. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}
