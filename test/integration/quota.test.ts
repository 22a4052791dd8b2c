// Stored bytes: limits for each key and in all, sums, and deletions while Redis takes no changes.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { expireStored } from '../../src/records/expirations.ts'
import { readStoredSums, setStoredBytes } from '../../src/records/stored-bytes.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MB = 1_048_576
const KEYS = ['the-secret-of-ann-01', 'the-secret-of-bob-02']
let server: Awaited<ReturnType<typeof ownRedis>>
let redis: Redis
let dir: string
let api: StartedApi | undefined
beforeEach(async () => {
  server = await ownRedis()
  redis = new Redis(server.url)
  dir = mkdtempSync(join(tmpdir(), 'inferq-quota-'))
})
afterEach(async () => {
  await api?.stop()
  api = undefined
  redis.disconnect()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
})

const start = async (more: NodeJS.ProcessEnv) => {
  api = await startApi(server.url, { FILES_URL: pathToFileURL(dir).href, ...more })
}
const headers = (key?: string): Record<string, string> => (key === undefined ? {} : { Authorization: `Bearer ${key}` })
async function upload(bytes: number, key?: string) {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob(['x'.repeat(bytes)]), 'a.jsonl')
  const response = await fetch(`${api?.url}/v1/files`, { method: 'POST', body: form, headers: headers(key) })
  const body = (await response.json()) as { id: string; error?: { message: string } }
  return { ...body, status: response.status, retry: response.headers.get('x-should-retry') }
}
const erase = (id: string, key?: string) =>
  fetch(`${api?.url}/v1/files/${id}`, { method: 'DELETE', headers: headers(key) })

it('are limited for each key, and free again when a file is deleted', async () => {
  await start({ API_KEYS: `ann:${KEYS[0]},bob:${KEYS[1]}`, MAX_STORED_BYTES_PER_KEY: '3mb' })
  const first = await upload(2 * MB, KEYS[0])
  expect(first.status).toBe(200)
  const refused = await upload(2 * MB, KEYS[0])
  expect(refused).toMatchObject({ status: 507, retry: 'false' })
  expect(refused.error?.message).toContain('MAX_STORED_BYTES_PER_KEY')
  // To the last byte, and for another key.
  expect((await upload(MB, KEYS[0])).status).toBe(200)
  const batch = await fetch(`${api?.url}/v1/batches`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers(KEYS[0]) },
    body: JSON.stringify({ input_file_id: first.id, endpoint: '/predict', completion_window: '1h' }),
  })
  expect(batch.status).toBe(507)
  expect((await upload(2 * MB, KEYS[1])).status).toBe(200)
  expect((await erase(first.id, KEYS[0])).status).toBe(200)
  expect((await upload(2 * MB, KEYS[0])).status).toBe(200)
  expect((await readStoredSums(redis, '')).all).toBe(5 * MB)
})

it('are limited for all keys together, and a refused upload leaves nothing', async () => {
  await start({ MAX_STORED_BYTES: '1mb' })
  expect((await upload(MB / 2)).status).toBe(200)
  const refused = await upload(MB)
  expect(refused.status).toBe(507)
  expect(refused.error?.message).toContain('(MAX_STORED_BYTES)')
  expect((await readStoredSums(redis, 'public')).owner).toBe(MB / 2)
  const metrics = await (await fetch(`${api?.url}/metrics`)).text()
  expect(metrics).toContain(`inferq_stored_bytes ${MB / 2}`)
  expect(Number(/^inferq_disk_free_bytes (\S+)/m.exec(metrics)?.[1])).toBeGreaterThan(0)
})

it('are limited in number too', async () => {
  await start({})
  const entries = Array.from({ length: 50_000 }, (_, number) => [number, String(number)] as const)
  await redis.zadd('inferq:r:files:public', ...entries.flat())
  const refused = await upload(1)
  expect(refused).toMatchObject({ status: 507 })
  expect(refused.error?.message).toContain('50000 files are stored')
})

it('of an earlier version are counted', async () => {
  const name = 'files/public_0190f3f2-7c1e-7000-8000-000000000001'
  mkdirSync(join(dir, 'files'))
  writeFileSync(join(dir, name), 'x'.repeat(1_234))
  await expireStored(redis, name, Date.UTC(2100))
  await start({ RESULT_TTL: '200ms' })
  await waitFor('the bytes to be counted', async () => (await readStoredSums(redis, 'public')).owner === 1_234)
})

it('have sums that follow every change', async () => {
  const sums = async () => [(await readStoredSums(redis, 'a')).owner, (await readStoredSums(redis, 'b')).all]
  await setStoredBytes(redis, 'x', 'a', 10)
  await setStoredBytes(redis, 'x', 'a', 4)
  await setStoredBytes(redis, 'y', 'b', 5)
  expect(await sums()).toEqual([4, 9])
  expect(await setStoredBytes(redis, 'z', 'a', 3, { all: 100, owner: 6 })).toBe('owner')
  expect(await setStoredBytes(redis, 'z', 'a', 3, { all: 11, owner: 100 })).toBe('all')
  // Fewer bytes are never refused.
  expect(await setStoredBytes(redis, 'x', 'a', 3, { all: 1, owner: 1 })).toBeUndefined()
  await setStoredBytes(redis, 'x', 'a', 0)
  await setStoredBytes(redis, 'y', 'b', 0)
  expect(await redis.keys('inferq:r:stored*')).toEqual([])
})

it('are freed by a deletion also while Redis takes no changes', async () => {
  await start({})
  const { id } = await upload(1_000)
  const path = join(dir, 'files', `public_${id.slice('file-'.length)}`)
  expect(existsSync(path)).toBe(true)
  // As with a full disk, Redis answers reads and refuses changes.
  await redis.config('SET', 'min-replicas-to-write', '1')
  const deletion = erase(id)
  await waitFor('the bytes to be deleted', () => !existsSync(path))
  await redis.config('SET', 'min-replicas-to-write', '0')
  expect((await deletion).status).toBe(200)
  expect((await fetch(`${api?.url}/v1/files/${id}`)).status).toBe(404)
  expect((await readStoredSums(redis, 'public')).owner).toBe(0)
})

it('are independent of the open batches, of which a key of a higher weight may have more', async () => {
  const [ann = '', bob = ''] = KEYS
  await start({ API_KEYS: `ann:${ann},bob:${bob}:4`, MAX_OPEN_BATCHES: '9' })
  const create = async (key: string) => {
    const requests = [{ custom_id: 'a', body: { inputs: 'text' } }]
    const body = JSON.stringify({ requests, endpoint: '/predict', completion_window: '1h' })
    const json = { 'Content-Type': 'application/json', ...headers(key) }
    return fetch(`${api?.url}/v1/batches`, { method: 'POST', body, headers: json })
  }
  const openUntilRefused = async (key: string) => {
    for (let open = 0; ; open += 1) {
      const { status } = await create(key)
      if (status !== 200) return [open, status]
    }
  }
  // With the weight 1 it would be 6.
  expect(await openUntilRefused(bob)).toEqual([8, 429])
  expect(await openUntilRefused(ann)).toEqual([1, 429])
})
