// Uploads in parts at two apis on one store: order, repeats, limits, the end of an upload, and what is left over.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { requestHash } from '../../src/records/idempotency.ts'
import { readStoredSums } from '../../src/records/stored-bytes.ts'
import {
  addUploadPart,
  countOpenUploads,
  createUpload,
  endUpload,
  holdCompletion,
  readUpload,
} from '../../src/records/uploads.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { recordKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redis: Redis
let redisUrl: string
let dir: string
let apis: StartedApi[] = []
beforeEach(async () => {
  redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  dir = mkdtempSync(join(tmpdir(), 'inferq-uploads-'))
})
afterEach(async () => {
  await Promise.all(apis.map((api) => api.stop()))
  apis = []
  closeConnection(redis)
  rmSync(dir, { recursive: true, force: true })
})

async function start(more: NodeJS.ProcessEnv = {}, count = 2): Promise<void> {
  const env = { FILES_URL: pathToFileURL(dir).href, ...more }
  apis = await Promise.all(Array.from({ length: count }, () => startApi(redisUrl, env)))
}

interface Body {
  id: string
  status: string
  file: { id: string; bytes: number; filename: string } | null
  error?: { message: string; param: string | null }
}
let sent = 0
/** Each request goes to the next api. */
async function post(path: string, body?: object, key?: string): Promise<Body & { code: number }> {
  const isForm = body instanceof FormData
  sent += 1
  const response = await fetch(`${apis[sent % apis.length]?.url}${path}`, {
    method: 'POST',
    headers: {
      ...(isForm || body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(key === undefined ? {} : { 'Idempotency-Key': key }),
    },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  })
  return { code: response.status, ...((await response.json()) as Body) }
}
const create = (bytes: number, more: object = {}, key?: string) =>
  post('/v1/uploads', { filename: 'a.jsonl', bytes, mime_type: 'application/jsonl', purpose: 'batch', ...more }, key)
const add = (id: string, data: string | Buffer, key?: string) => {
  const form = new FormData()
  form.set('data', new Blob([data]), 'part')
  return post(`/v1/uploads/${id}/parts`, form, key)
}
const complete = (id: string, parts: string[], more: object = {}) =>
  post(`/v1/uploads/${id}/complete`, { part_ids: parts, ...more })
const cancel = (id: string) => post(`/v1/uploads/${id}/cancel`)
const contentOf = async (id = '') => {
  const response = await fetch(`${apis[0]?.url}/v1/files/${id}/content`)
  return Buffer.from(await response.arrayBuffer())
}
const stored = (kind: 'parts' | 'files') => readdirSync(dir).includes(kind) && readdirSync(join(dir, kind)).length
const sum = async () => (await readStoredSums(redis, 'public')).owner
const owned = (id: string) => ({ owner: 'public', uuid: id.replace('upload_', '') })

describe('an upload', () => {
  it('takes parts at the same time in any order, and becomes one file', async () => {
    await start()
    const pieces = Array.from({ length: 12 }, (_, index) => randomBytes(100_000 + index))
    const whole = Buffer.concat(pieces)
    const upload = await create(whole.length, { expires_after: { anchor: 'created_at', seconds: 3_600 } })
    expect(upload).toMatchObject({
      object: 'upload',
      status: 'pending',
      file: null,
      filename: 'a.jsonl',
      purpose: 'batch',
    })
    expect(await countOpenUploads(redis)).toBe(1)
    const parts = await Promise.all(pieces.toReversed().map((piece) => add(upload.id, piece)))
    expect(parts[0]).toMatchObject({ code: 200, object: 'upload.part', upload_id: upload.id })
    const ids = parts.toReversed().map(({ id }) => id)
    const md5 = createHash('md5').update(whole).digest('hex')
    const completed = await complete(upload.id, ids, { md5 })
    expect(completed).toMatchObject({
      code: 200,
      status: 'completed',
      file: { bytes: whole.length, filename: 'a.jsonl' },
    })
    expect((await contentOf(completed.file?.id)).equals(whole)).toBe(true)
    expect(await countOpenUploads(redis)).toBe(0)
    // The parts are gone, with their bytes.
    await waitFor('the parts to be removed', () => stored('parts') === 0)
    expect(await sum()).toBe(whole.length)
  })

  it('is completed once by repeats at two apis', async () => {
    await start()
    const upload = await create(6)
    const parts = [(await add(upload.id, 'abc')).id, (await add(upload.id, 'def')).id]
    const answers = await Promise.all(Array.from({ length: 10 }, () => complete(upload.id, parts)))
    expect(answers.map(({ code }) => code)).toEqual(answers.map(() => 200))
    expect(new Set(answers.map(({ file }) => file?.id)).size).toBe(1)
    expect((await complete(upload.id, parts)).file?.id).toBe(answers[0]?.file?.id)
    expect(stored('files')).toBe(1)
    const other = await complete(upload.id, parts.toReversed())
    expect(other).toMatchObject({ code: 409, error: { message: expect.stringContaining('with other parts') } })
    expect((await cancel(upload.id)).code).toBe(409)
    expect((await add(upload.id, 'ghi')).code).toBe(409)
    await fetch(`${apis[0]?.url}/v1/files/${answers[0]?.file?.id}`, { method: 'DELETE' })
    expect(await complete(upload.id, parts)).toMatchObject({ code: 200, status: 'completed', file: null })
  })

  it('is completed by another api when the one that did it is dead', async () => {
    await start()
    const upload = await create(3)
    const parts = [(await add(upload.id, 'abc')).id.replace('part_', '')]
    const hash = requestHash('/v1/uploads/complete', { parts, md5: undefined })
    expect(await holdCompletion(redis, owned(upload.id), { hash, holder: 'dead' }, 1_000)).toBe('held')
    expect((await cancel(upload.id)).code).toBe(409)
    expect((await complete(upload.id, parts)).file?.bytes).toBe(3)
  })

  it('refuses parts that do not make the file, and stays open', async () => {
    await start()
    const upload = await create(6)
    const [first, second] = [(await add(upload.id, 'abc')).id, (await add(upload.id, 'def')).id]
    expect(await complete(upload.id, [first])).toMatchObject({ code: 400, error: { param: 'part_ids' } })
    const unknown = await complete(upload.id, [first, 'part_0190f3f2-7c1e-7000-8000-000000000000'])
    expect(unknown).toMatchObject({ code: 400, error: { param: 'part_ids[1]' } })
    expect(await complete(upload.id, [first, 'x'])).toMatchObject({ code: 400, error: { param: 'part_ids[1]' } })
    expect(await complete(upload.id, [])).toMatchObject({ code: 400, error: { param: 'part_ids' } })
    const md5 = '0'.repeat(32)
    expect(await complete(upload.id, [first, second], { md5 })).toMatchObject({ code: 400, error: { param: 'md5' } })
    expect(stored('files')).toBe(0)
    const completed = await complete(upload.id, [second, first])
    expect((await contentOf(completed.file?.id)).toString()).toBe('defabc')
  })

  it('has a part once, however often its content is sent', async () => {
    await start()
    const upload = await create(6)
    const parts = await Promise.all(Array.from({ length: 5 }, () => add(upload.id, 'abc')))
    expect(new Set(parts.map(({ id }) => id)).size).toBe(1)
    expect([stored('parts'), await sum()]).toEqual([1, 3])
    // A file may have the same part twice.
    const completed = await complete(upload.id, [parts[0]?.id ?? '', parts[0]?.id ?? ''])
    expect((await contentOf(completed.file?.id)).toString()).toBe('abcabc')
  })

  it('is created once with an Idempotency-Key, and so is a part', async () => {
    await start()
    const answers = await Promise.all(Array.from({ length: 50 }, () => create(6, {}, 'one')))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(await create(7, {}, 'one')).toMatchObject({ code: 400, error: { param: 'Idempotency-Key' } })
    const id = answers[0]?.id ?? ''
    const part = await add(id, 'abc', 'part')
    expect((await add(id, 'abc', 'part')).id).toBe(part.id)
    expect(await add(id, 'def', 'part')).toMatchObject({ code: 400, error: { param: 'Idempotency-Key' } })
    expect([stored('parts'), await sum()]).toEqual([1, 3])
  })
})

describe('the limits of uploads', () => {
  it('are those of the settings and of the announced size', async () => {
    await start({ MAX_UPLOAD_BYTES: '1mb', MAX_STORED_BYTES_PER_KEY: '1mb' }, 1)
    expect(await create(2_000_000)).toMatchObject({
      code: 413,
      error: { message: expect.stringContaining('MAX_UPLOAD_BYTES') },
    })
    // Parts and file exist at the same time.
    expect(await create(600_000)).toMatchObject({ code: 507 })
    const upload = await create(400_000)
    expect((await add(upload.id, randomBytes(400_001))).code).toBe(413)
    expect((await add(upload.id, '')).code).toBe(400)
    expect((await add(upload.id, randomBytes(400_000))).code).toBe(200)
    expect((await add(upload.id, randomBytes(400_000))).code).toBe(200)
    const excess = await add(upload.id, randomBytes(1))
    expect(excess).toMatchObject({ code: 400, error: { message: expect.stringContaining('more than twice') } })
    expect(await sum()).toBe(800_000)
    const another = await create(100_000)
    await add(another.id, randomBytes(90_000))
    expect((await add(another.id, randomBytes(100_000))).code).toBe(200)
    expect((await add(another.id, randomBytes(100_000))).code).toBe(507)
    expect(stored('parts')).toBe(4)
  })

  it.each([
    [{ bytes: 0 }, 'bytes'],
    [{ bytes: 1.5 }, 'bytes'],
    [{ purpose: 'fine-tune' }, 'purpose'],
    [{ filename: '' }, 'filename'],
    [{ expires_after: { anchor: 'created_at', seconds: 0 } }, 'expires_after.seconds'],
    [{ other: 1 }, 'other'],
  ])('refuse %j', async (body, param) => {
    await start({}, 1)
    expect(await create(1, body)).toMatchObject({ code: 400, error: { param } })
  })

  it('refuse another anchor of expires_after, as in a single request', async () => {
    await start({}, 1)
    const after = { anchor: 'last_active_at', seconds: 60 }
    expect((await create(1, { expires_after: after })).code).toBe(400)
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('expires_after[anchor]', 'last_active_at')
    form.set('file', new Blob(['{}']), 'a.jsonl')
    const response = await fetch(`${apis[0]?.url}/v1/files`, { method: 'POST', body: form })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { param: 'expires_after[anchor]' } })
  })

  it('of an owner are open uploads, and ended ones that are kept', async () => {
    const fields = {
      hash: '',
      filename: '',
      bytes: 1,
      file_ttl: 1,
      created_at: Date.now(),
      expires_at: Date.now() + 60_000,
    }
    const id = (number: number) => ({
      owner: 'public',
      uuid: `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`,
    })
    expect(await createUpload(redis, id(0), fields, 1)).toBeUndefined()
    expect(await createUpload(redis, id(1), fields, 1)).toBe('full')
    expect(await createUpload(redis, { ...id(1), owner: 'bob' }, fields, 1)).toBeUndefined()
    const part = (uuid: string) => ({ part: { uuid, bytes: 1, created_at: Date.now() }, sha256: uuid, key: undefined })
    const limits = { count: 1, bytes: 10 }
    expect(await addUploadPart(redis, id(0), part('a'), limits)).toBe('added')
    expect(await addUploadPart(redis, id(0), part('b'), limits)).toBe('count')
    await redis.zadd(
      recordKey('uploads-ended', 'public'),
      ...Array.from({ length: 1_000 }, (_, at) => [at, id(at + 2).uuid]).flat(),
    )
    await redis.hset(recordKey('upload', `public_${id(2).uuid}`), 'hash', '')
    expect(await endUpload(redis, id(0))).toBe(true)
    expect(await redis.exists(recordKey('upload', `public_${id(2).uuid}`))).toBe(0)
    expect((await readUpload(redis, id(0)))?.end).toBe('cancelled')
    expect(await createUpload(redis, id(1), fields, 1)).toBeUndefined()
  })
})

describe('the end of an upload', () => {
  it('by its cancellation removes the parts, and later ones are refused', async () => {
    await start()
    const upload = await create(6)
    const part = await add(upload.id, 'abc')
    expect(await cancel(upload.id)).toMatchObject({ code: 200, status: 'cancelled', file: null })
    expect([stored('parts'), await sum()]).toEqual([0, 0])
    expect(await cancel(upload.id)).toMatchObject({ code: 200, status: 'cancelled' })
    expect((await add(upload.id, 'def')).code).toBe(409)
    expect(await complete(upload.id, [part.id])).toMatchObject({
      code: 409,
      error: { message: 'this upload is cancelled' },
    })
    expect([stored('parts'), await sum()]).toEqual([0, 0])
  })

  it('by time refuses what comes later, and the sweep removes its parts', async () => {
    await start({ RESULT_TTL: '200ms' }, 1)
    const upload = await create(6)
    const part = await add(upload.id, 'abc')
    await redis.hset(recordKey('upload', `public_${owned(upload.id).uuid}`), 'expires_at', Date.now() - 1)
    expect((await add(upload.id, 'def')).code).toBe(409)
    expect(await complete(upload.id, [part.id])).toMatchObject({
      code: 409,
      error: { message: 'this upload is expired' },
    })
    await redis.zadd(recordKey('expirations'), Date.now() - 1, `parts/public_${part.id.replace('part_', '')}`)
    await waitFor('the part to be removed', async () => stored('parts') === 0 && (await sum()) === 0)
  })

  it('of a connection in the middle of a part leaves nothing', async () => {
    await start({}, 1)
    const upload = await create(10_000_000)
    const { port } = new URL(apis[0]?.url ?? '')
    const socket = connect(Number(port), '127.0.0.1')
    const head = '--b\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n'
    socket.write(
      `POST /v1/uploads/${upload.id}/parts HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n` +
        `Content-Length: 9000000\r\n\r\n${head}`,
    )
    socket.write(Buffer.alloc(3_000_000))
    // The bytes are counted while they arrive.
    await waitFor('the first bytes to be counted', async () => (await sum()) > 2_000_000)
    socket.destroy()
    await waitFor('the bytes to be removed', async () => (await sum()) === 0)
    expect([stored('parts'), readdirSync(join(dir, 'incoming')).length]).toEqual([0, 0])
    expect((await add(upload.id, 'abc')).code).toBe(200)
  })
})

it('of another owner, or none, cannot be found', async () => {
  const keys = ['the-secret-of-ann-01', 'the-secret-of-bob-02']
  await start({ API_KEYS: `ann:${keys[0]},bob:${keys[1]}` }, 1)
  const as = (key: string | undefined, path: string, body: object) =>
    fetch(`${apis[0]?.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    })
  const body = { filename: 'a', bytes: 1, mime_type: 'text/plain', purpose: 'batch' }
  const { id } = (await (await as(keys[0], '/v1/uploads', body)).json()) as Body
  for (const path of [`/v1/uploads/${id}/complete`, `/v1/uploads/${id}/cancel`]) {
    expect((await as(keys[1], path, { part_ids: ['a'] })).status).toBe(404)
  }
  expect((await as(keys[1], '/v1/uploads/upload_x/cancel', {})).status).toBe(404)
})
