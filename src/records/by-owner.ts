// Numbers that are kept for each owner.
import type { Redis } from 'ioredis'
import { byOwnerKey } from '../redis/keys.ts'

/** The sum of a kind over the owners; without a cluster over all that have a number. */
export async function sumByOwner(redis: Redis, kind: string, owners: string[]): Promise<number> {
  const keys = new Set(owners.map((owner) => byOwnerKey(kind, owner)))
  const values = await Promise.all([...keys].map((key) => redis.hvals(key)))
  return values.flat().reduce((sum, each) => sum + Number(each), 0)
}
