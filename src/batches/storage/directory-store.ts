// A file store in a directory, which several apis may share.
import { createReadStream } from 'node:fs'
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { requireWritable } from '../../lifecycle.ts'
import type { DiskSpace } from './disk-space.ts'
import {
  type ByteRange,
  checkedName,
  type FileStore,
  StorageFullError,
  StorageUnavailableError,
  type Stored,
} from './file-store.ts'
import { Staging } from './staging.ts'

/** Objects are written here and linked to their names when they are complete. */
const STAGING_DIR = 'incoming'
const READ_BYTES = 64 * 1_024
/** Bytes that are written between two readings of the free space. */
const CHECK_BYTES = 1_024 * 1_024

export class DirectoryStore implements FileStore {
  readonly #dir: string
  readonly #staging: Staging
  readonly #space: DiskSpace | undefined

  /** @param dir created with the first object. @param space of its disk; nothing is written into its reserve. */
  constructor(dir: string, space?: DiskSpace) {
    this.#dir = dir
    this.#staging = new Staging(join(dir, STAGING_DIR))
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
    const path = this.#pathOf(name)
    try {
      await mkdir(dirname(path), { recursive: true })
      return await this.#staging.write(this.#whileSpace(source), async (staging, bytes) =>
        (await linkIntoPlace(staging, path)) ? bytes : undefined,
      )
    } catch (error) {
      throw isFull(error) ? new StorageFullError(undefined, error) : error
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

  /** Removes incomplete files of processes that died, some minutes later. */
  sweep(now: number): Promise<void> {
    return this.#staging.sweep(now)
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

/** Gives the file its name atomically; returns false when the name exists. */
async function linkIntoPlace(staging: string, path: string): Promise<boolean> {
  try {
    await link(staging, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    // The process was suspended for minutes, and another one removed the file as that of a dead writer.
    if (codeOf(error) === 'ENOENT') throw new StorageUnavailableError()
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
