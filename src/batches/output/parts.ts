// The rows of a batch on their way into the store: parts of some 1,024 rows, in the order of the input, each written
// whole and once. Output and error file of a batch are the sections of its parts, one after the other.
import type { LinePosition } from '../input/jsonl.ts'
import type { OutputRow } from './output-row.ts'
import type { ByteRange, FileStore, Stored } from '../storage/file-store.ts'

export type Section = 'output' | 'errors'

export interface Totals {
  completed: number
  failed: number
  outputBytes: number
  errorBytes: number
}

/** The first line of a part, as JSON; the output rows follow, then the error rows. */
export interface PartHeader extends Totals {
  v: 1
  /** Rows before this part. */
  first: number
  rows: number
  /** Which of the rows are errors, counted from the part's first. */
  errors: number[]
  /** Where the input goes on. */
  next: LinePosition
  /** Of all parts up to and with this one. */
  totals: Totals
}

export interface Part {
  header: PartHeader
  output: Buffer
  errors: Buffer
}

export const NOTHING: Totals = { completed: 0, failed: 0, outputBytes: 0, errorBytes: 0 }
/** More than any header has: 1,024 places of up to 5 characters, and the rest. */
const HEADER_BYTES = 16 * 1_024

/** @param batch OWNER_UUID. */
export function partsName(batch: string): string {
  return `batches/${batch}`
}

/** @param index counts from 0. */
function partName(batch: string, index: number): string {
  return `${partsName(batch)}/${String(index).padStart(8, '0')}`
}

/** Puts rows and their counts together. @param before totals of the parts before. */
export function makePart(first: number, next: LinePosition, rows: OutputRow[], before: Totals): Part {
  const lines = (failed: boolean) =>
    Buffer.from(
      rows
        .filter((row) => row.failed === failed)
        .map(({ line }) => line)
        .join(''),
    )
  const [output, errors] = [lines(false), lines(true)]
  const places = rows.flatMap((row, place) => (row.failed ? [place] : []))
  const own = {
    completed: rows.length - places.length,
    failed: places.length,
    outputBytes: output.length,
    errorBytes: errors.length,
  }
  const totals = {
    completed: before.completed + own.completed,
    failed: before.failed + own.failed,
    outputBytes: before.outputBytes + own.outputBytes,
    errorBytes: before.errorBytes + own.errorBytes,
  }
  return { header: { v: 1, first, rows: rows.length, ...own, errors: places, next, totals }, output, errors }
}

/** False when there is this part already: somebody else runs the batch. @throws StorageFull. */
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
  const { header, at } = parseHeader(bytes)
  const middle = at + header.outputBytes
  return { header, output: bytes.subarray(at, middle), errors: bytes.subarray(middle) }
}

/** The header, and where the rows begin in the stored part. */
async function readHeader(store: FileStore, name: string): Promise<{ header: PartHeader; at: number } | undefined> {
  const stored = await store.get(name, { start: 0, end: HEADER_BYTES })
  return stored && parseHeader(await readAll(stored))
}

/** How many parts there are, and the header of the last. */
export async function readLastPart(
  store: FileStore,
  batch: string,
): Promise<{ count: number; header: PartHeader | undefined }> {
  const names = await store.list(partsName(batch))
  const last = names.at(-1)
  return { count: names.length, header: last === undefined ? undefined : (await readHeader(store, last))?.header }
}

/** The part in which the row is, by halving; the number of parts when it is behind all of them. */
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

/** A part's rows from one on, in the order of the input. @param skip rows of the part to leave out. */
export function rowsInOrder({ header, output, errors }: Part, skip = 0): Buffer {
  const failed = new Set(header.errors)
  const [answered, refused] = [linesIn(output), linesIn(errors)]
  const rows = Array.from({ length: header.rows }, (_, place) => (failed.has(place) ? refused : answered).next().value)
  return Buffer.concat(rows.slice(skip).filter((row) => row !== undefined))
}

/** One section of all parts as one file. @param total its bytes. */
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
    const { header, at } = found
    const [begin, bytes] =
      section === 'output' ? [at, header.outputBytes] : [at + header.outputBytes, header.errorBytes]
    const [start, end] = [Math.max(0, range.start - before), Math.min(bytes, range.end - before)]
    before += bytes
    if (end <= start) continue
    const stored = await store.get(name, { start: begin + start, end: begin + end })
    if (stored) yield* stored.content
  }
}

function parseHeader(bytes: Buffer): { header: PartHeader; at: number } {
  const end = bytes.indexOf(10)
  return { header: JSON.parse(bytes.toString('utf8', 0, end)) as PartHeader, at: end + 1 }
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
