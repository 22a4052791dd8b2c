// What every file store does: in a directory, and in a bucket (of TEST_S3_URL, else of a stand-in).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DirectoryStore } from '../../../../src/batches/storage/directory-store.ts'
import type { ByteRange, FileStore } from '../../../../src/batches/storage/file-store.ts'
import { S3Store } from '../../../../src/batches/storage/s3-store.ts'
import { createLogger } from '../../../../src/logger.ts'
import { testBucket } from '../../../helpers/s3.ts'

const MB = 1_024 * 1_024

async function inDirectory() {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-store-'))
  return { store: new DirectoryStore(dir), stop: async () => rmSync(dir, { recursive: true, force: true }) }
}

async function inBucket() {
  const bucket = await testBucket()
  for (const [name, value] of Object.entries(bucket.env)) vi.stubEnv(name, value)
  const store = new S3Store({
    location: bucket.location,
    logger: createLogger('api', 'silent'),
    owners: () => 1,
    weightOf: () => 1,
    onRefused: () => undefined,
    onFailure: () => undefined,
  })
  return { store, stop: bucket.stop }
}

async function* each(...pieces: (Buffer | string)[]): AsyncGenerator<Buffer | string> {
  yield* pieces
}

/** Bytes that differ from place to place, so that a wrong range is seen. */
function contentOf(bytes: number): Buffer {
  const content = Buffer.alloc(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4) content.writeUInt32LE(at, at)
  return content
}

async function* slowly(content: Buffer, piece = 64 * 1_024): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += piece) yield content.subarray(at, at + piece)
}

describe.each([
  ['a directory', inDirectory],
  ['a bucket', inBucket],
])('a file store in %s', (_where, open) => {
  let store: FileStore
  let stop: () => Promise<unknown>
  beforeEach(async () => {
    ;({ store, stop } = await open())
    await store.check()
  })
  afterEach(() => stop())

  async function read(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    const stored = await store.get(name, range)
    if (!stored) return undefined
    const pieces: Buffer[] = []
    for await (const piece of stored.content) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  it('returns what was stored, whole and in ranges', async () => {
    expect(await store.put('files/a', each('01é', Buffer.from('456789')))).toBe(10)
    expect((await read('files/a'))?.toString()).toBe('01é456789')
    for (const [start, end, expected] of [
      [4, 7, '456'],
      [8, 99, '89'],
      [0, 1, '0'],
      [10, 12, ''],
      [50, 60, ''],
      [0, 0, ''],
      [3, Number.MAX_SAFE_INTEGER, Buffer.from('01é456789').subarray(3).toString()],
    ] as const) {
      const stored = await store.get('files/a', { start, end })
      expect(stored?.bytes).toBe(10)
      expect((await read('files/a', { start, end }))?.toString()).toBe(expected)
    }
    expect(await store.get('files/b')).toBeUndefined()
    expect(await store.get('files/b', { start: 0, end: 0 })).toBeUndefined()
    expect(await store.get('files/b', { start: 3, end: 5 })).toBeUndefined()
  })

  it('returns an empty object', async () => {
    expect(await store.put('files/a', each())).toBe(0)
    expect((await store.get('files/a'))?.bytes).toBe(0)
    expect((await read('files/a'))?.length).toBe(0)
  })

  it('returns large objects, whole and in ranges', async () => {
    const content = contentOf(12 * MB + 12)
    expect(await store.put('files/a', slowly(content))).toBe(content.length)
    expect((await read('files/a'))?.equals(content)).toBe(true)
    for (const [start, end] of [
      [0, 64 * 1_024],
      [0, 64 * 1_024 + 1],
      [5 * MB - 3, 10 * MB + 7],
      [content.length - 1, content.length + 5],
    ] as const) {
      expect((await read('files/a', { start, end }))?.equals(content.subarray(start, end))).toBe(true)
    }
  })

  it('never replaces an object, small or large', async () => {
    const [small, large] = [contentOf(100), contentOf(6 * MB)]
    expect(await store.put('files/a', each(small))).toBe(small.length)
    expect(await store.put('files/a', slowly(large))).toBeUndefined()
    expect(await store.put('files/a', each('other'))).toBeUndefined()
    expect((await read('files/a'))?.equals(small)).toBe(true)
    expect(await store.put('files/b', slowly(large))).toBe(large.length)
    expect(await store.put('files/b', slowly(large))).toBeUndefined()
    expect((await read('files/b'))?.equals(large)).toBe(true)
  })

  it('stores one of several puts under one name', async () => {
    const contents = ['one', 'other', 'another', 'last', 'more'].map((text) => text.repeat(1_000))
    const stored = await Promise.all(contents.map((content) => store.put('files/a', each(content)).catch(() => 'busy')))
    const [winner, ...others] = contents.filter((_content, index) => typeof stored[index] === 'number')
    expect(others).toEqual([])
    expect((await read('files/a'))?.toString()).toBe(winner)
  })

  it.each([0, 1, 11 * MB])(
    'stores nothing when the source fails after %i bytes, and throws its error',
    async (bytes) => {
      const error = new Error('the client disconnected')
      async function* broken(): AsyncGenerator<Buffer> {
        yield* slowly(contentOf(bytes))
        throw error
      }
      await expect(store.put('files/a', broken())).rejects.toBe(error)
      expect(await store.get('files/a')).toBeUndefined()
      expect(await store.list('files')).toEqual([])
      expect(store.problem).toBeUndefined()
    },
  )

  it('may be read in part', async () => {
    await store.put('files/a', slowly(contentOf(3 * MB)))
    for await (const piece of (await store.get('files/a'))?.content ?? []) {
      expect(piece.length).toBeGreaterThan(0)
      break
    }
    expect((await read('files/a'))?.length).toBe(3 * MB)
  })

  it('lists names in their order, and removes one with those below it', async () => {
    const names = Array.from({ length: 230 }, (_, index) => `batches/a/${String(index).padStart(8, '0')}`)
    for (const name of names.toReversed()) await store.put(name, each('x'))
    await store.put('batches/ab', each('x'))
    expect(await store.list('batches/a')).toEqual(names)
    expect(await store.list('nothing')).toEqual([])
    await store.delete('batches/a')
    await store.delete('batches/a')
    expect(await store.list('batches/a')).toEqual([])
    expect((await read('batches/ab'))?.toString()).toBe('x')
    await store.delete('batches/ab')
    expect(await store.get('batches/ab')).toBeUndefined()
  })

  it.each(['../x', 'files/../../x', '/etc/passwd', 'files/', '', 'a\0b'])('rejects the name %j', async (name) => {
    await expect(store.put(name, each('x'))).rejects.toThrow('invalid name for the file store')
    await expect(store.get(name)).rejects.toThrow('invalid name for the file store')
  })

  it('sweeps nothing that is complete', async () => {
    await store.put('files/a', each('a'))
    await store.sweep(Date.now() + 30 * 86_400_000)
    expect((await read('files/a'))?.toString()).toBe('a')
  })
})
