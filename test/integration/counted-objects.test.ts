// Objects of the file store that are counted and expire, when the store fails.
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CountedObjects } from '../../src/batches/storage/counted-objects.ts'
import { type FileStore, StorageUnavailableError } from '../../src/batches/storage/file-store.ts'
import { StorageQuota } from '../../src/batches/storage/quota.ts'
import { readExpired } from '../../src/records/expirations.ts'
import { readStoredSums } from '../../src/records/stored-bytes.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const NAME = 'files/public_0190f3f2-7c1e-7000-8000-000000000001'
const HOUR = 3_600_000
const CONTENT = Buffer.alloc(1_000)

let redis: Redis
beforeEach(async () => {
  const redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterEach(() => closeConnection(redis))

/** @param fails after the content is read: the object may have been stored. */
function objectsOf(fails?: Error) {
  const stored = new Map<string, number>()
  const store = {
    put: async (name: string, source: AsyncIterable<Buffer>) => {
      let bytes = 0
      for await (const piece of source) bytes += piece.length
      if (fails) throw fails
      stored.set(name, bytes)
      return bytes
    },
    get: async (name: string) => (stored.has(name) ? { bytes: stored.get(name) } : undefined),
  } as unknown as FileStore
  const limits = { owner: 10_000_000, all: 10_000_000 }
  return new CountedObjects({ redis, store, quota: new StorageQuota(redis, limits) })
}

async function* content(): AsyncGenerator<Buffer> {
  yield CONTENT
}

const expiredAt = (time: number) => readExpired(redis, time, 10)
const counted = async () => (await readStoredSums(redis, 'public')).owner

describe('an object', () => {
  it('that is stored expires when it should', async () => {
    const now = Date.now()
    expect(await objectsOf().put(NAME, content(), now + HOUR)).toBe(1_000)
    expect(await expiredAt(now + HOUR - 1)).toEqual([])
    expect(await expiredAt(now + HOUR)).toEqual([NAME])
    expect(await counted()).toBe(1_000)
  })

  it('that a store which went away may have stored is counted, and expires in a minute', async () => {
    const before = Date.now()
    const put = objectsOf(new StorageUnavailableError()).put(NAME, content(), before + HOUR)
    await expect(put).rejects.toBeInstanceOf(StorageUnavailableError)
    expect(await expiredAt(before + 59_999)).toEqual([])
    expect(await expiredAt(Date.now() + 60_000)).toEqual([NAME])
    expect(await counted()).toBeGreaterThanOrEqual(1_000)
  })

  it('whose content fails is neither counted nor known', async () => {
    const error = new Error('the client hung up')
    await expect(objectsOf(error).put(NAME, content(), Date.now() + HOUR)).rejects.toBe(error)
    expect(await expiredAt(Number.MAX_SAFE_INTEGER)).toEqual([])
    expect(await counted()).toBe(0)
  })

  it('whose content fails while the store is away is known, so that it is removed later', async () => {
    const objects = objectsOf(new Error('the client hung up'))
    vi.spyOn(objects, 'size').mockRejectedValue(new StorageUnavailableError())
    const expiresAt = Date.now() + HOUR
    await expect(objects.put(NAME, content(), expiresAt)).rejects.toBeInstanceOf(StorageUnavailableError)
    expect(await expiredAt(expiresAt)).toEqual([NAME])
  })
})
