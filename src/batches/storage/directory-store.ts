// A directory as a file store; several apis may share it.
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type ByteRange, type FileStore, StorageFullError, type Stored } from './file-store.ts'

/** Objects are written here first, and appear under their names when they are whole. */
const STAGING_DIR = 'incoming'
/** What is written aside and has not grown for so long belongs to a process that died, milliseconds. */
const ABANDONED_MS = 24 * 3_600_000
const READ_BYTES = 64 * 1_024

export class DirectoryStore implements FileStore {
  readonly #dir: string

  /** @param dir is made when it is needed. */
  constructor(dir: string) {
    this.#dir = dir
  }

  async put(name: string, source: AsyncIterable<Buffer | string>): Promise<number | undefined> {
    const aside = join(this.#dir, STAGING_DIR, randomUUID())
    const path = this.#pathOf(name)
    try {
      await mkdir(dirname(aside), { recursive: true })
      await mkdir(dirname(path), { recursive: true })
      const bytes = await write(aside, source)
      return (await linkIntoPlace(aside, path)) ? bytes : undefined
    } catch (error) {
      throw isFull(error) ? new StorageFullError(error) : error
    } finally {
      await rm(aside, { force: true })
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

  /** Removes what processes that died have left half written. */
  async sweep(now: number): Promise<void> {
    for (const name of await this.list(STAGING_DIR)) {
      const path = this.#pathOf(name)
      const found = await stat(path).catch(() => undefined)
      if (found && now - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true })
    }
  }

  /** @throws Error for a name that would lead out of the directory: names are made here, so that is a fault of ours. */
  #pathOf(name: string): string {
    if (!/^[\w-]+(?:\/[\w-]+)*$/.test(name)) throw new Error(`"${name}" is no name for a file store`)
    return join(this.#dir, name)
  }
}

/** @returns the bytes that were written. The data is on the disk before the name is. */
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
  for (let at = 0; at < buffer.length; ) at += (await handle.write(buffer, at)).bytesWritten
}

/** Gives the file its name, in one step; false when the name is taken. */
async function linkIntoPlace(aside: string, path: string): Promise<boolean> {
  try {
    await link(aside, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    // Some file systems have no hard links. There, two processes at the same time could replace each other's file.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(codeOf(error))) throw error
  }
  if (await stat(path).catch(() => undefined)) return false
  await rename(aside, path)
  return true
}

/** Opened when it is read, not before: not everybody who asks for an object reads it. */
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
