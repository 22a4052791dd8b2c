// Where a batch's input is: a file that can be read again from any byte. A pipe is put into one first.
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
  /** Tells whether it is the same input when the command is given again. */
  identity: string
  /** Removes what was made for it. */
  discard: () => Promise<void>
}

/** @throws Failure when it cannot be read, or is a compressed file. */
export async function openFile(path: string): Promise<Source> {
  const found = await stat(path)
  if (!found.isFile()) throw new CommandError(`${path} is not a file; a pipe is read with "-"`)
  await refuseCompressed(path)
  return {
    path,
    bytes: found.size,
    identity: `${found.size} bytes of ${found.mtimeMs}`,
    discard: async () => undefined,
  }
}

/** Reads stdin to its end. @param beside the output's path; the copy lies beside it, or else in a folder of its own. */
export async function openPipe(terminal: Terminal, beside: string | undefined): Promise<Source> {
  if (terminal.stdin.isTTY) throw new UsageError('"-" reads a pipe, and there is none: give a FILE')
  const folder = beside === undefined ? await mkdtemp(join(tmpdir(), 'inferq-')) : undefined
  const path = folder === undefined ? `${beside}.input` : join(folder, 'input')
  const hash = createHash('sha256')
  let bytes = 0
  const count = new Transform({
    transform: (part: Buffer, _encoding, done) => {
      hash.update(part)
      bytes += part.length
      done(null, part)
    },
  })
  const discard = () => rm(folder ?? path, { recursive: true, force: true })
  try {
    await pipeline(terminal.stdin, count, createWriteStream(path), { signal: terminal.signal })
    await refuseCompressed(path)
  } catch (error) {
    await discard()
    throw error
  }
  report(terminal, `read ${bytesText(bytes)} from the pipe`)
  return { path, bytes, identity: `sha256 ${hash.digest('hex')}`, discard }
}

/** Its bytes from `start` up to `end` (not included), or all the rest. */
export function bytesOf(source: Source, start = 0, end = source.bytes): AsyncIterable<Uint8Array> {
  return createReadStream(source.path, { start, end: Math.max(start, end) - 1, highWaterMark: 256 * 1_024 })
}

/** The format that a name tells; undefined when it tells none. */
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

async function refuseCompressed(path: string): Promise<void> {
  const file = await open(path)
  try {
    const { buffer } = await file.read({ buffer: Buffer.alloc(4), length: 4, position: 0 })
    const start = buffer.toString('latin1')
    const kind = start.startsWith('PK') ? 'a zip file (or a spreadsheet)' : start.startsWith('\x1f\x8b') ? 'gzip' : ''
    if (kind) throw new CommandError(`${path} is ${kind}: unpack it, or save it as CSV, first`)
  } finally {
    await file.close()
  }
}

/** Where a part of the input begins. */
export interface InputPosition {
  /** Rows before it. */
  row: number
  /** Bytes before it. */
  byte: number
}
