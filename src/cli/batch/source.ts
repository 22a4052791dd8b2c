// Input of a run: a file, or a copy of a pipe, readable from any byte.
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CommandError, UsageError } from '../failure.ts'
import { bytesText } from '../format.ts'
import { report, type Terminal } from '../terminal.ts'

export type Format = 'jsonl' | 'csv' | 'lines'

export interface Source {
  path: string
  bytes: number
  /** Identifies the input in a later run of the same command. */
  identity: string
  /** Deletes the copy of a pipe. */
  discard: () => Promise<void>
}

/** @throws CommandError for a compressed file, or a path that is not a file. */
export async function openFile(path: string): Promise<Source> {
  const found = await stat(path)
  if (!found.isFile()) throw new CommandError(`${path} is not a file; "-" reads a pipe`)
  await rejectCompressed(path)
  return {
    path,
    bytes: found.size,
    identity: `${found.size} bytes of ${found.mtimeMs}`,
    discard: async () => undefined,
  }
}

/** Copies stdin to a file, next to the output, or in a temporary directory without an output file. */
export async function openPipe(terminal: Terminal, outputPath: string | undefined): Promise<Source> {
  if (terminal.stdin.isTTY) throw new UsageError('"-" reads a pipe, and stdin is a terminal: give a FILE')
  const directory = outputPath === undefined ? await mkdtemp(join(tmpdir(), 'inferq-')) : undefined
  const path = directory === undefined ? `${outputPath}.input` : join(directory, 'input')
  const hash = createHash('sha256')
  let bytes = 0
  const count = new Transform({
    transform: (part: Buffer, _encoding, done) => {
      hash.update(part)
      bytes += part.length
      done(null, part)
    },
  })
  const discard = () => rm(directory ?? path, { recursive: true, force: true })
  try {
    await pipeline(terminal.stdin, count, createWriteStream(path), { signal: terminal.signal })
    await rejectCompressed(path)
  } catch (error) {
    await discard()
    throw error
  }
  report(terminal, `read ${bytesText(bytes)} from the pipe`)
  return { path, bytes, identity: `sha256 ${hash.digest('hex')}`, discard }
}

/** Reads the bytes from `start` up to and without `end`; by default up to the last one. */
export function bytesOf(source: Source, start = 0, end = source.bytes): AsyncIterable<Uint8Array> {
  return createReadStream(source.path, { start, end: Math.max(start, end) - 1, highWaterMark: 256 * 1_024 })
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

async function rejectCompressed(path: string): Promise<void> {
  const file = await open(path)
  try {
    const { buffer } = await file.read({ buffer: Buffer.alloc(4), length: 4, position: 0 })
    const start = buffer.toString('latin1')
    const kind = start.startsWith('PK') ? 'a zip file (or a spreadsheet)' : start.startsWith('\x1f\x8b') ? 'gzip' : ''
    if (kind) throw new CommandError(`${path} is ${kind}: unpack it, or save it as CSV`)
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
