// A file store in a directory, which several apis may share.
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { requireWritable } from '../../lifecycle.ts'
import type { DiskSpace } from './disk-space.ts'
import { type ByteRange, checkedName, type FileStore, StorageFullError, type Stored } from './file-store.ts'

/** Objects are written here and linked to their names when they are complete. */
const STAGING_DIR = 'incoming'
/** A staging file that has not grown for this many milliseconds belongs to a process that died. */
const ABANDONED_AFTER_MS = 24 * 3_600_000
const READ_BYTES = 64 * 1_024
/** Bytes that are written between two readings of the free space. */
const CHECK_BYTES = 1_024 * 1_024

export class DirectoryStore implements FileStore {
  readonly #dir: string
  readonly #space: DiskSpace | undefined

  /** @param dir created with the first object. @param space of its disk; nothing is written into its reserve. */
  constructor(dir: string, space?: DiskSpace) {
    this.#dir = dir
    this.#space = space
  }

  async check(): Promise<void> {
    requireWritable(this.#dir, 'FILES_URL', 'another one, such as file:///var/lib/inferq')
  }

  get problem(): string | undefined {
    return this.#space?.problem
  }

  async refresh(): Promise<void> {
    await this.#space?.sample()
  }

  async put(name: string, source: AsyncIterable<Buffer | string>): Promise<number | undefined> {
    const staging = join(this.#dir, STAGING_DIR, randomUUID())
    const path = this.#pathOf(name)
    try {
      await mkdir(dirname(staging), { recursive: true })
      await mkdir(dirname(path), { recursive: true })
      const bytes = await write(staging, this.#whileSpace(source))
      return (await linkIntoPlace(staging, path)) ? bytes : undefined
    } catch (error) {
      throw isFull(error) ? new StorageFullError(undefined, error) : error
    } finally {
      await rm(staging, { force: true })
    }
  }

  async get(name: string, range?: ByteRange): Promise<Stored | undefined> {
    const path = this.#pathOf(name)
    try {
      const { size } = await stat(path)
      const [start, end] = [range?.start ?? 0, Math.min(range?.end ?? size, size)]
      return { bytes: size, content: read(path, start, end) }
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async list(prefix: string): Promise<string[]> {
    try {
      const names = await readdir(this.#pathOf(prefix))
      return names.sort().map((name) => `${prefix}/${name}`)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
  }

  async delete(name: string): Promise<void> {
    await rm(this.#pathOf(name), { recursive: true, force: true })
  }

  /** Removes incomplete files of processes that died. */
  async sweep(now: number): Promise<void> {
    for (const name of await this.list(STAGING_DIR)) {
      const path = this.#pathOf(name)
      const found = await stat(path).catch(() => undefined)
      if (found && now - found.mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true })
    }
  }

  /** Passes content on while the disk has space. @throws StorageFullError. */
  async *#whileSpace(source: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer | string> {
    let unchecked = Number.POSITIVE_INFINITY
    for await (const piece of source) {
      unchecked += piece.length
      if (unchecked > CHECK_BYTES) {
        unchecked = 0
        await this.#space?.sample()
        const problem = this.#space?.problem
        if (problem !== undefined) throw new StorageFullError(problem)
      }
      yield piece
    }
  }

  #pathOf(name: string): string {
    return join(this.#dir, checkedName(name))
  }
}

/** Writes a file and flushes it to disk, so that no name ever points to lost data. @returns its size in bytes. */
async function write(path: string, source: AsyncIterable<Buffer | string>): Promise<number> {
  const handle = await open(path, 'wx')
  try {
    let bytes = 0
    for await (const piece of source) {
      const buffer = typeof piece === 'string' ? Buffer.from(piece) : piece
      await writeAll(handle, buffer)
      bytes += buffer.length
    }
    await handle.datasync()
    return bytes
  } finally {
    await handle.close()
  }
}

async function writeAll(handle: FileHandle, buffer: Buffer): Promise<void> {
  for (let offset = 0; offset < buffer.length; ) offset += (await handle.write(buffer, offset)).bytesWritten
}

/** Gives the file its name atomically; returns false when the name exists. */
async function linkIntoPlace(staging: string, path: string): Promise<boolean> {
  try {
    await link(staging, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    // Some file systems have no hard links. There, the check and the rename are two steps, so a concurrent put may be
    // overwritten.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(codeOf(error))) throw error
  }
  if (await stat(path).catch(() => undefined)) return false
  await rename(staging, path)
  return true
}

/** The file is opened at the first read, since some callers read only the size. */
async function* read(path: string, start: number, end: number): AsyncGenerator<Buffer> {
  if (end <= start) return
  const handle = await open(path, 'r')
  try {
    const stream = createReadStream('', {
      fd: handle,
      start,
      end: end - 1,
      highWaterMark: READ_BYTES,
      autoClose: false,
    })
    for await (const piece of stream) yield piece as Buffer
  } finally {
    await handle.close()
  }
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
