// Free space of the disk of files. A part of it stays free: Redis may be on the same disk, and needs space to go on.
import { statfs } from 'node:fs/promises'

export interface DiskState {
  /** Bytes that this process may use. */
  free: number
  size: number
}

/** At most this share of a disk is kept free. */
const MAX_RESERVED_SHARE = 0.1

export class DiskSpace {
  readonly #dir: string
  readonly #reserve: number
  readonly #read: (dir: string) => Promise<DiskState>
  /** The last state; undefined before the first reading. */
  last: DiskState | undefined

  /** @param reserve bytes to keep free, but at most a tenth of the disk. @param read reads a disk's state, for tests. */
  constructor(dir: string, reserve: number, read = readDisk) {
    this.#dir = dir
    this.#reserve = reserve
    this.#read = read
  }

  /** Reads the disk; undefined when the directory does not exist yet. */
  async sample(): Promise<DiskState | undefined> {
    this.last = await this.#read(this.#dir).catch(() => undefined)
    return this.last
  }

  /** Why nothing more may be stored, by the last reading; undefined when there is space. */
  get problem(): string | undefined {
    const { last } = this
    if (last === undefined || last.free > this.#reserveOf(last)) return undefined
    return `the disk of the file store has ${sizeOf(last.free)} left, which are kept free (DISK_RESERVE): delete files`
  }

  #reserveOf({ size }: DiskState): number {
    return Math.min(this.#reserve, size * MAX_RESERVED_SHARE)
  }
}

async function readDisk(dir: string): Promise<DiskState> {
  const { bavail, blocks, bsize } = await statfs(dir)
  return { free: bavail * bsize, size: blocks * bsize }
}

function sizeOf(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${Math.round(bytes / 1e7) / 100} GB`
}
