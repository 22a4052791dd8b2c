// The stored output of a batch: parts of up to 1,024 rows in input order.
// Each part is written whole and once. The output file of a batch is the concatenation of its parts' output sections,
// the error file that of their error sections.

import { uuidFromKey } from '../../records/idempotency.ts'
import type { OwnedId } from '../../records/ids.ts'
import type { LinePosition } from '../input/jsonl.ts'
import type { ByteRange, FileStore, Stored } from '../storage/file-store.ts'
import type { OutputRow } from './output-row.ts'

export type Section = 'output' | 'errors'

export interface Totals {
  completed: number
  failed: number
  outputBytes: number
  errorBytes: number
}

/** The first line of a part, as JSON. The output rows follow it, then the error rows. */
export interface PartHeader extends Totals {
  v: 1
  /** Rows before this part. */
  first: number
  rows: number
  /** The indexes of the failed rows in this part. */
  errors: number[]
  /** The position in the input after this part's last row. */
  next: LinePosition
  /** Sums over all parts up to and including this one. */
  totals: Totals
}

export interface Part {
  header: PartHeader
  output: Buffer
  errors: Buffer
}

export const ZERO_TOTALS: Totals = { completed: 0, failed: 0, outputBytes: 0, errorBytes: 0 }
/** An upper bound: a header has at most 1,024 indexes of up to 5 characters and less than 1 KB of other fields. */
const MAX_HEADER_BYTES = 16 * 1_024

/** The UUID of a section's file. It follows from the batch, so both files of a batch are known without its record. */
export function sectionUuid({ owner, uuid }: OwnedId, section: Section): string {
  return uuidFromKey(owner, `${uuid} ${section}`)
}

/** Bytes of the rows of all parts. */
export function partsBytes(totals: Totals = ZERO_TOTALS): number {
  return totals.outputBytes + totals.errorBytes
}

/** @param batch OWNER_UUID. */
export function partsName(batch: string): string {
  return `batches/${batch}`
}

/** @param index of the part, from 0. */
function partName(batch: string, index: number): string {
  return `${partsName(batch)}/${String(index).padStart(8, '0')}`
}

/** @param first rows before the part. @param next position in the input after it. @param before totals before it. */
export function createPart(first: number, next: LinePosition, rows: OutputRow[], before: Totals): Part {
  const lines = (failed: boolean) =>
    Buffer.from(
      rows
        .filter((row) => row.failed === failed)
        .map(({ line }) => line)
        .join(''),
    )
  const [output, errors] = [lines(false), lines(true)]
  const failedIndexes = rows.flatMap((row, index) => (row.failed ? [index] : []))
  const own = {
    completed: rows.length - failedIndexes.length,
    failed: failedIndexes.length,
    outputBytes: output.length,
    errorBytes: errors.length,
  }
  const totals = {
    completed: before.completed + own.completed,
    failed: before.failed + own.failed,
    outputBytes: before.outputBytes + own.outputBytes,
    errorBytes: before.errorBytes + own.errorBytes,
  }
  return { header: { v: 1, first, rows: rows.length, ...own, errors: failedIndexes, next, totals }, output, errors }
}

/** Returns false when the part exists already, because another api runs the batch. @throws StorageFullError. */
export async function putPart(store: FileStore, batch: string, index: number, part: Part): Promise<boolean> {
  const pieces = [`${JSON.stringify(part.header)}\n`, part.output, part.errors]
  return (await store.put(partName(batch, index), each(pieces))) !== undefined
}

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}

export async function readPart(store: FileStore, batch: string, index: number): Promise<Part | undefined> {
  const stored = await store.get(partName(batch, index))
  if (!stored) return undefined
  const bytes = await readAll(stored)
  const { header, rowsOffset } = parseHeader(bytes)
  const errorsOffset = rowsOffset + header.outputBytes
  return { header, output: bytes.subarray(rowsOffset, errorsOffset), errors: bytes.subarray(errorsOffset) }
}

interface ParsedHeader {
  header: PartHeader
  /** The offset of the first row in the stored part, in bytes. */
  rowsOffset: number
}

async function readHeader(store: FileStore, name: string): Promise<ParsedHeader | undefined> {
  const stored = await store.get(name, { start: 0, end: MAX_HEADER_BYTES })
  return stored && parseHeader(await readAll(stored))
}

/** Returns the number of parts and the header of the last one. */
export async function readLastPart(
  store: FileStore,
  batch: string,
): Promise<{ count: number; header: PartHeader | undefined }> {
  const names = await store.list(partsName(batch))
  const last = names.at(-1)
  return { count: names.length, header: last === undefined ? undefined : (await readHeader(store, last))?.header }
}

/** Returns the index of the part that has the row (binary search), or the number of parts when none has it yet. */
export async function findPart(store: FileStore, batch: string, row: number): Promise<number> {
  let [low, high] = [0, (await store.list(partsName(batch))).length]
  while (low < high) {
    const middle = (low + high) >> 1
    const found = await readHeader(store, partName(batch, middle))
    if (found && found.header.first + found.header.rows <= row) low = middle + 1
    else high = middle
  }
  return low
}

/** Returns a part's rows in input order. @param skip number of rows to leave out at the start. */
export function rowsInOrder({ header, output, errors }: Part, skip = 0): Buffer {
  const failed = new Set(header.errors)
  const [answered, refused] = [linesIn(output), linesIn(errors)]
  const rows = Array.from({ length: header.rows }, (_, index) => (failed.has(index) ? refused : answered).next().value)
  return Buffer.concat(rows.slice(skip).filter((row) => row !== undefined))
}

/** Yields a byte range of one section of all parts, as if the section was one file. */
export async function* readSection(
  store: FileStore,
  batch: string,
  section: Section,
  range: ByteRange,
): AsyncGenerator<Buffer> {
  let before = 0
  for (const name of await store.list(partsName(batch))) {
    if (before >= range.end) return
    const found = await readHeader(store, name)
    if (!found) return
    const { header, rowsOffset } = found
    const [begin, bytes] =
      section === 'output' ? [rowsOffset, header.outputBytes] : [rowsOffset + header.outputBytes, header.errorBytes]
    const [start, end] = [Math.max(0, range.start - before), Math.min(bytes, range.end - before)]
    before += bytes
    if (end <= start) continue
    const stored = await store.get(name, { start: begin + start, end: begin + end })
    if (stored) yield* stored.content
  }
}

function parseHeader(bytes: Buffer): ParsedHeader {
  const end = bytes.indexOf(10)
  return { header: JSON.parse(bytes.toString('utf8', 0, end)) as PartHeader, rowsOffset: end + 1 }
}

async function readAll({ content }: Stored): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of content) pieces.push(piece)
  return Buffer.concat(pieces)
}

function* linesIn(bytes: Buffer): Generator<Buffer, undefined> {
  for (let begin = 0; begin < bytes.length; ) {
    const end = bytes.indexOf(10, begin) + 1 || bytes.length
    yield bytes.subarray(begin, end)
    begin = end
  }
  return undefined
}
