// Input of a run: a file, or a copy of a pipe, readable from any byte.
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, type Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CommandError, UsageError } from '../../failure.ts'
import { bytesText } from '../../format.ts'
import { report, type Terminal } from '../../terminal.ts'

export type Format = 'jsonl' | 'csv' | 'lines'

export interface Source {
  path: string
  /** As the user wrote it, for messages. */
  name: string
  bytes: number
  /** Size and time of the last change, which prove that the content is the same; undefined for a pipe. */
  stamp: string | undefined
  /** SHA-256 of the content; a file is read for it. */
  digest: () => Promise<string>
  /** Receives the bytes that are read. */
  tap?: (bytes: Uint8Array) => void
}

/** @throws CommandError for a compressed file, or a path that is not a file. */
export async function openFile(path: string): Promise<Source> {
  const found = await stat(path)
  if (!found.isFile()) throw new CommandError(`${path} is not a file; "-" reads a pipe`)
  await rejectUnreadable(path, path)
  const source = { path, name: path, bytes: found.size, stamp: stampOf(found) }
  return { ...source, digest: () => digestOf(path) }
}

function stampOf({ size, mtimeMs }: Stats): string {
  return `${size} bytes of ${mtimeMs}`
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part as Buffer)
  return hash.digest('hex')
}

/** @param digest of the content that was read before. @throws CommandError when the content has been changed since. */
export async function checkUnchanged(source: Source, digest: string): Promise<void> {
  if (source.stamp === undefined || stampOf(await stat(source.path)) === source.stamp) return
  if ((await source.digest()) !== digest) throw new CommandError(`${source.name} has been changed during the run`)
}

/** Copies stdin to a file. @throws CommandError for compressed input; UsageError for a terminal. */
export async function copyPipe(path: string, terminal: Terminal, signal: AbortSignal): Promise<Source> {
  const hash = createHash('sha256')
  let bytes = 0
  const count = new Transform({
    transform: (part: Buffer, _encoding, done) => {
      hash.update(part)
      bytes += part.length
      done(null, part)
    },
  })
  await pipeline(terminal.stdin, count, createWriteStream(path), { signal })
  await rejectUnreadable(path, 'the pipe')
  report(terminal, `read ${bytesText(bytes)} from the pipe`)
  const digest = hash.digest('hex')
  return { path, name: 'the pipe', bytes, stamp: undefined, digest: async () => digest }
}

/** @throws UsageError when stdin is a terminal, which does not end. */
export function rejectTerminal({ stdin }: Terminal): void {
  if (stdin.isTTY) throw new UsageError('"-" reads a pipe, and stdin is a terminal: give a FILE')
}

/** Reads the bytes from `start` up to and without `end`; by default up to the last one. */
export function bytesOf(source: Source, start = 0, end = source.bytes): AsyncIterable<Uint8Array> {
  const stream = createReadStream(source.path, { start, end: Math.max(start, end) - 1, highWaterMark: 256 * 1_024 })
  return source.tap ? tapped(stream, source.tap) : stream
}

async function* tapped(bytes: AsyncIterable<Uint8Array>, tap: (bytes: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const part of bytes) {
    tap(part)
    yield part
  }
}

/** @returns the format by the file extension; undefined for an unknown one. */
export function formatOf(path: string): Format | undefined {
  const formats: Record<string, Format> = {
    '.jsonl': 'jsonl',
    '.ndjson': 'jsonl',
    '.csv': 'csv',
    '.tsv': 'csv',
    '.txt': 'lines',
  }
  return formats[extname(path).toLowerCase()]
}

const HEAD_BYTES = 65_536

async function rejectUnreadable(path: string, name: string): Promise<void> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(HEAD_BYTES), position: 0 })
    const head = buffer.subarray(0, bytesRead)
    const start = head.toString('latin1', 0, 4)
    const kind = start.startsWith('PK') ? 'a zip file (or a spreadsheet)' : start.startsWith('\x1f\x8b') ? 'gzip' : ''
    if (kind) throw new CommandError(`${name} is ${kind}: unpack it, or save it as CSV`)
    if (head.includes('\r') && !head.includes('\n')) {
      throw new CommandError(`${name} has lines that end with CR, as on old Macs: convert it with tr '\\r' '\\n'`)
    }
  } finally {
    await file.close()
  }
}

/** The start of a part of the input. */
export interface InputPosition {
  /** Rows before it. */
  row: number
  /** Bytes before it. */
  byte: number
}
