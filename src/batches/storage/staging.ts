// The directory of files that are being written. It also has what killed processes left, which is removed.
// Several processes, perhaps of several machines, share it, so neither process ids nor their clocks are compared: a writer
// changes the time of its file again and again, and a file whose time stays the same for long has none.
import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Milliseconds between two changes of the time of a file that waits for its content. */
const TOUCH_MS = 20_000
/** Milliseconds without a change after which a file has no writer; file systems on networks show one a minute later. */
const ABANDONED_AFTER_MS = 180_000
/** The most milliseconds that one sweep counts: the process, or the whole machine, may have been suspended since the last. */
const MAX_STEP_MS = 60_000

interface Seen {
  mtimeMs: number
  idleMs: number
}

export class Staging {
  readonly #dir: string
  /** Files by name: their time, and the milliseconds for which sweeps have seen it unchanged. */
  #seen = new Map<string, Seen>()
  #sweptAt: number | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  /**
   * Writes content into a new file and flushes it to the disk, so that no name ever points to lost data. The file is
   * removed when `use`, which gets its path and its size in bytes, is done, or the content fails.
   * @returns what `use` returns.
   */
  async write<T>(source: AsyncIterable<Buffer | string>, use: (path: string, bytes: number) => Promise<T>): Promise<T> {
    const path = join(this.#dir, randomUUID())
    await mkdir(this.#dir, { recursive: true })
    try {
      return await use(path, await write(path, source))
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Removes files without a writer, some minutes after it ended. @param now epoch milliseconds, of any clock. */
  async sweep(now: number): Promise<void> {
    const step = Math.min(Math.max(0, now - (this.#sweptAt ?? now)), MAX_STEP_MS)
    this.#sweptAt = now
    const seen = new Map<string, Seen>()
    for (const name of await namesIn(this.#dir)) {
      const path = join(this.#dir, name)
      const found = await stat(path).catch(() => undefined)
      if (!found) continue
      const before = this.#seen.get(name)
      const idleMs = before?.mtimeMs === found.mtimeMs ? before.idleMs + step : 0
      if (idleMs < ABANDONED_AFTER_MS) seen.set(name, { mtimeMs: found.mtimeMs, idleMs })
      else await rm(path, { force: true })
    }
    this.#seen = seen
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function write(path: string, source: AsyncIterable<Buffer | string>): Promise<number> {
  const handle = await open(path, 'wx')
  const touching = setInterval(() => void touch(handle), TOUCH_MS)
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
    clearInterval(touching)
    await handle.close()
  }
}

/** A failure is without effect: the next write changes the time too. */
async function touch(handle: FileHandle): Promise<void> {
  const now = new Date()
  await handle.utimes(now, now).catch(() => undefined)
}

async function writeAll(handle: FileHandle, buffer: Buffer): Promise<void> {
  for (let offset = 0; offset < buffer.length; ) offset += (await handle.write(buffer, offset)).bytesWritten
}
