// A file store in a bucket that cannot be used, is away for a while, or is full.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { StorageFullError, StorageUnavailableError } from '../../../../src/batches/storage/file-store.ts'
import { filesUrl } from '../../../../src/batches/storage/files-url.ts'
import { S3Store } from '../../../../src/batches/storage/s3-store.ts'
import { AppError, StartupError } from '../../../../src/errors.ts'
import type { Logger } from '../../../../src/logger.ts'
import { type S3StandIn, s3StandIn } from '../../../helpers/s3-stand-in.ts'
import { tcpProxy } from '../../../helpers/tcp-proxy.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const MB = 1_024 * 1_024
const DAY = 86_400_000
const [KEY, SECRET] = ['the-access-key', 'the-secret-key']
const OWNER_A = 'a_01900000-0000-7000-8000-00000000000'
const OWNER_B = 'b_01900000-0000-7000-8000-00000000000'

let server: S3StandIn
let proxy: Awaited<ReturnType<typeof tcpProxy>>
let lines: { message: string; [field: string]: unknown }[]
let refused: number
let failures: number

beforeEach(async () => {
  server = await s3StandIn('files', KEY)
  proxy = await tcpProxy(server.endpoint)
  lines = []
  refused = 0
  failures = 0
  vi.stubEnv('AWS_ACCESS_KEY_ID', KEY)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET)
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await proxy.stop()
  await server.stop()
})

function storeAt(url = `s3://files/some/folder?endpoint=${proxy.url}`, owners = 1): S3Store {
  const location = filesUrl.parse(url)
  if (!location || 'directory' in location) throw new Error('not a bucket')
  const log = (fields: Record<string, unknown>, message: string) => lines.push({ ...fields, message })
  return new S3Store({
    location,
    logger: { warn: log, info: log } as unknown as Logger,
    owners: () => owners,
    weightOf: () => 1,
    onRefused: () => (refused += 1),
    onFailure: () => (failures += 1),
  })
}

async function* bytes(count: number): AsyncGenerator<Buffer> {
  for (let left = count; left > 0; left -= 64 * 1_024) yield Buffer.alloc(Math.min(left, 64 * 1_024), 'x')
}
async function lengthOf(content: AsyncIterable<Buffer> | undefined): Promise<number> {
  let length = 0
  for await (const piece of content ?? []) length += piece.length
  return length
}
const startupProblem = async (store: S3Store) => {
  const error = await store.check().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(StartupError)
  return (error as Error).message
}

describe('the check at the start', () => {
  it('leaves nothing in the bucket', async () => {
    await storeAt().check()
    expect([server.objects.size, server.uploads.size, lines]).toEqual([0, 0, []])
  })

  it.each([
    ['a missing bucket', 'other', {}, 'the bucket "other" at ENDPOINT does not exist; create it'],
    [
      'a wrong access key',
      'files',
      { AWS_ACCESS_KEY_ID: 'a-wrong-key' },
      'the bucket "files" at ENDPOINT refuses these credentials (InvalidAccessKeyId); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their policy',
    ],
    [
      'no credentials',
      'files',
      {
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
        AWS_CONFIG_FILE: '/none',
        AWS_SHARED_CREDENTIALS_FILE: '/none',
      },
      'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    ],
  ])('reports %s in one line', async (_what, bucket, env, expected) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
    const message = await startupProblem(storeAt(`s3://${bucket}?endpoint=${proxy.url}`))
    expect(message).toBe(`FILES_URL: ${expected.replace('ENDPOINT', proxy.url)}`)
  })

  it('reports a missing region', async () => {
    vi.stubEnv('AWS_REGION', undefined)
    vi.stubEnv('AWS_CONFIG_FILE', '/none')
    expect(await startupProblem(storeAt('s3://files'))).toContain('there is no region; add ?region=REGION')
  })

  it.each([
    [{ ignoresIfNoneMatch: true }, 'its server ignores If-None-Match'],
    [{ ignoresRange: true }, 'its server ignores the header Range'],
    [{ error: [301, 'PermanentRedirect'] as [number, string] }, 'is in another region; add ?region=REGION'],
    [{ error: [400, 'SomethingElse'] as [number, string] }, 'refuses requests (SomethingElse)'],
  ])('refuses a server with %j', async (faults, expected) => {
    Object.assign(server.faults, faults)
    expect(await startupProblem(storeAt())).toContain(expected)
    expect(server.objects.size).toBe(0)
  })

  it.each(['cut', 'silence'] as const)(
    'is no error with a bucket that is away (%s); it is made later',
    async (mode) => {
      proxy.set(mode)
      const store = storeAt()
      await store.check()
      proxy.set('pass')
      server.faults.ignoresIfNoneMatch = true
      await waitFor('the check', async () => {
        await store.put('files/a', bytes(10)).catch(() => undefined)
        return store.problem?.includes('If-None-Match')
      })
      expect(server.objects.has('some/folder/files/a')).toBe(false)
      server.faults.ignoresIfNoneMatch = false
      expect(await store.put('files/a', bytes(10))).toBe(10)
      expect(store.problem).toBeUndefined()
    },
  )
})

describe('a bucket that is away', () => {
  it('makes every operation fail with 503, and is logged once with its end, without secrets', async () => {
    const store = storeAt()
    await store.check()
    await store.put('files/a', bytes(10))
    proxy.set('cut')
    const operations = [
      () => store.put('files/b', bytes(10)),
      () => store.put('files/c', bytes(7 * MB)),
      () => store.get('files/a'),
      () => store.get('files/a', { start: 0, end: 0 }),
      () => store.list('files'),
      () => store.delete('files/a'),
      () => store.sweep(Date.now()),
    ]
    for (const operation of operations) await expect(operation()).rejects.toBeInstanceOf(StorageUnavailableError)
    await store.refresh()
    expect(failures).toBe(operations.length + 1)
    expect(store.problem).toMatch(/^the bucket of files does not answer \(E?[A-Za-z]+\)$/)
    proxy.set('pass')
    await store.refresh()
    expect(store.problem).toBeUndefined()
    expect(lines.map(({ message }) => message)).toEqual([
      'the file store is away: uploads are refused and batches wait',
      'the file store is back',
    ])
    expect(JSON.stringify(lines)).not.toMatch(new RegExp(`${KEY}|${SECRET}`))
    expect(await lengthOf((await store.get('files/a'))?.content)).toBe(10)
  })

  it.each([
    [403, 'AccessDenied'],
    [404, 'NoSuchBucket'],
    [503, 'SlowDown'],
    [500, 'InternalError'],
  ])('is one that answers with %i %s', async (status, code) => {
    const store = storeAt()
    await store.check()
    server.faults.error = [status, code]
    await expect(store.put('files/a', bytes(10))).rejects.toMatchObject({ status: 503, type: 'Unhealthy' })
    await expect(store.get('files/a')).rejects.toMatchObject({ status: 503 })
    expect(store.problem).toContain(code)
  })

  it('in the middle of an upload ends it with 503 and leaves an upload in parts, which a later sweep aborts', async () => {
    const store = storeAt()
    await store.check()
    async function* content(): AsyncGenerator<Buffer> {
      yield* bytes(6 * MB)
      await waitFor('the first part', () => [...server.uploads.values()].some(({ parts }) => parts.size === 1))
      proxy.set('cut')
      yield* bytes(6 * MB)
    }
    await expect(store.put('files/a', content())).rejects.toBeInstanceOf(StorageUnavailableError)
    expect(server.uploads.size).toBe(1)
    proxy.set('pass')
    expect(await store.get('files/a')).toBeUndefined()
    await store.sweep(Date.now())
    expect(server.uploads.size).toBe(1)
    await store.sweep(Date.now() + 2 * DAY)
    expect(server.uploads.size).toBe(0)
    expect(await store.put('files/a', bytes(6 * MB))).toBe(6 * MB)
  })

  it('for a moment does not break reading, which goes on where it was', async () => {
    const store = storeAt()
    await store.check()
    await store.put('files/a', bytes(20 * MB))
    let length = 0
    let cuts = 0
    for await (const piece of (await store.get('files/a'))?.content ?? []) {
      length += piece.length
      if (length < 5 * MB * (cuts + 1)) continue
      cuts += 1
      proxy.set('cut')
      proxy.set('pass')
    }
    expect(length).toBe(20 * MB)
    expect(cuts).toBe(4)
  })

  it('ends reading that gets no byte with 503', async () => {
    const store = storeAt()
    await store.check()
    await store.put('files/a', bytes(20 * MB))
    const stored = await store.get('files/a')
    proxy.set('cut')
    await expect(lengthOf(stored?.content)).rejects.toBeInstanceOf(StorageUnavailableError)
  })
})

it('aborts an upload in parts whose source fails', async () => {
  const store = storeAt()
  async function* broken(): AsyncGenerator<Buffer> {
    yield* bytes(11 * MB)
    throw new Error('the client disconnected')
  }
  await expect(store.put('files/a', broken())).rejects.toThrow('the client disconnected')
  expect([server.objects.size, server.uploads.size, lines]).toEqual([0, 0, []])
})

it('is full when its server has no space', async () => {
  const store = storeAt()
  await store.check()
  server.faults.full = true
  await expect(store.put('files/a', bytes(10))).rejects.toBeInstanceOf(StorageFullError)
  expect(store.problem).toBeUndefined()
})

it('has places for uploads, of which each owner leaves some to the others; parts of batches need none', async () => {
  const store = storeAt(undefined, 2)
  await store.check()
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  async function* slow(): AsyncGenerator<Buffer> {
    await released
    yield Buffer.from('x')
  }
  const name = (owner: string, index: number) => `files/${owner}${index.toString(16)}`
  const open: Promise<unknown>[] = []
  const isTaken = async (owner: string, index: number) => {
    const upload = store.put(`${name(owner, 0).slice(0, -2)}${index.toString(16).padStart(2, '0')}`, slow())
    const early = await Promise.race([
      upload.catch((error: unknown) => error),
      new Promise((resolve) => setTimeout(resolve, 20)),
    ])
    if (early instanceof AppError) return early.status
    open.push(upload)
    return 'open'
  }
  const first = []
  for (let index = 0; index < 32; index += 1) first.push(await isTaken(OWNER_A, index))
  expect(first.filter((each) => each === 'open').length).toBe(22)
  expect(first.filter((each) => each === 429).length).toBe(10)
  expect(refused).toBe(10)
  expect(await isTaken(OWNER_B, 0)).toBe('open')
  expect(await store.put(`batches/${OWNER_A}0/00000000`, bytes(3))).toBe(3)
  release()
  expect(await Promise.all(open)).toEqual(open.map(() => 1))
  expect(await store.put(name(OWNER_A, 0), bytes(3))).toBeUndefined()
})
