import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createPart,
  findPart,
  putPart,
  readLastPart,
  readPart,
  readSection,
  rowsInOrder,
  ZERO_TOTALS,
} from '../../../../src/batches/output/parts.ts'
import { DirectoryStore } from '../../../../src/batches/storage/directory-store.ts'
import { StorageFullError } from '../../../../src/batches/storage/file-store.ts'

let dir: string
let store: DirectoryStore
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-parts-'))
  store = new DirectoryStore(dir)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function* bytes(...pieces: string[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece)
}
async function text(content: AsyncIterable<Buffer> | undefined): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of content ?? []) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
const isFailed = (row: number) => row % 5 === 2
const lineOf = (row: number) => `{"row":${row},"é":${isFailed(row)}}\n`
const rows = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({ failed: isFailed(first + index), line: lineOf(first + index) }))

/** Writes parts of ten rows. */
async function write(parts: number): Promise<void> {
  let totals = ZERO_TOTALS
  for (let index = 0; index < parts; index += 1) {
    const part = createPart(index * 10, { offset: index, lines: index }, rows(index * 10, 10), totals)
    expect(await putPart(store, 'a_b', index, part)).toBe(true)
    totals = part.header.totals
  }
}
const all = (count: number, wanted: (row: number) => boolean = () => true) =>
  Array.from({ length: count }, (_, row) => row)
    .filter(wanted)
    .map(lineOf)
    .join('')

describe('a stored object', () => {
  it.runIf(existsSync('/proc/self/fd'))('is opened only when its content is read', async () => {
    await store.put('files/a', bytes('some', 'thing'))
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    for (let call = 0; call < 50; call += 1) expect((await store.get('files/a'))?.bytes).toBe(9)
    expect(open()).toBeLessThan(before + 25)
    expect(await text((await store.get('files/a', { start: 4, end: 9 }))?.content)).toBe('thing')
  })
})

describe('parts', () => {
  it('return the rows in input order from any row on', async () => {
    await write(5)
    for (const after of [0, 7, 10, 33, 49]) {
      const index = await findPart(store, 'a_b', after)
      const part = await readPart(store, 'a_b', index)
      if (!part) throw new Error(`no part for row ${after}`)
      expect(rowsInOrder(part, after - part.header.first).toString()).toBe(
        all(50)
          .split('\n')
          .slice(after, (index + 1) * 10)
          .join('\n') + '\n',
      )
    }
    expect(await findPart(store, 'a_b', 50)).toBe(5)
    expect(await readPart(store, 'a_b', 5)).toBeUndefined()
  })

  it('form one output and one error file, of which any range can be read', async () => {
    await write(3)
    const { header } = await readLastPart(store, 'a_b')
    for (const [section, total, expected] of [
      ['output', header?.totals.outputBytes, all(30, (row) => !isFailed(row))],
      ['errors', header?.totals.errorBytes, all(30, isFailed)],
    ] as const) {
      const content = Buffer.from(expected)
      expect(total).toBe(content.length)
      for (const [start, end] of [
        [0, content.length],
        [1, 5],
        [40, 200],
        [content.length - 3, content.length],
      ] as const) {
        expect(await text(readSection(store, 'a_b', section, { start, end }))).toBe(
          content.subarray(start, end).toString(),
        )
      }
    }
  })

  it('have a last header with the totals and the next position in the input', async () => {
    expect(await readLastPart(store, 'a_b')).toEqual({ count: 0, header: undefined })
    await write(2)
    expect(await readLastPart(store, 'a_b')).toMatchObject({
      count: 2,
      header: { first: 10, rows: 10, next: { offset: 1, lines: 1 }, totals: { completed: 16, failed: 4 } },
    })
  })

  it('are never replaced: a second put returns false', async () => {
    await write(1)
    const other = createPart(0, { offset: 9, lines: 9 }, rows(100, 10), ZERO_TOTALS)
    expect(await putPart(store, 'a_b', 0, other)).toBe(false)
    expect((await readPart(store, 'a_b', 0))?.output.toString()).toBe(all(10, (row) => !isFailed(row)))
  })
})

describe('a directory store', () => {
  it('stores nothing when the source fails', async () => {
    const broken = async function* () {
      yield Buffer.from('half')
      throw new Error('client disconnected')
    }
    await expect(store.put('files/a', broken())).rejects.toThrow('client disconnected')
    expect(await store.get('files/a')).toBeUndefined()
    expect(readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())).toEqual([])
  })

  it('throws StorageFullError and stores nothing on a full disk', async () => {
    const full = async function* () {
      yield Buffer.from('half')
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    }
    await expect(store.put('files/a', full())).rejects.toBeInstanceOf(StorageFullError)
    expect(readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())).toEqual([])
  })

  it('reads ranges, lists and deletes', async () => {
    expect(await store.put('files/a', bytes('0123', '456789'))).toBe(10)
    expect(await store.put('files/a', bytes('other'))).toBeUndefined()
    expect(await text((await store.get('files/a', { start: 3, end: 6 }))?.content)).toBe('345')
    expect(await text((await store.get('files/a', { start: 8, end: 99 }))?.content)).toBe('89')
    expect((await store.get('files/a', { start: 0, end: 0 }))?.bytes).toBe(10)
    await store.put('files/b', bytes('b'))
    expect(await store.list('files')).toEqual(['files/a', 'files/b'])
    await store.delete('files/a')
    await store.delete('files/a')
    expect([await store.get('files/a'), await store.list('files')]).toEqual([undefined, ['files/b']])
    expect(await store.list('nothing')).toEqual([])
  })

  it.each(['../x', 'files/../../x', '/etc/passwd', 'files/', '', 'a\0b'])('rejects the name %j', async (name) => {
    await expect(store.put(name, bytes('x'))).rejects.toThrow('invalid name for the file store')
    await expect(store.get(name)).rejects.toThrow('invalid name for the file store')
  })
})
