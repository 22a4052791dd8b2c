// Lock on a directory for one process, without a race between two starts at the same moment.
// The lock is the file owner-N.json with the highest N. A released lock keeps its file, and the next owner links N + 1,
// which only one process can. A taker that was slow may link a number whose file has been removed since: it then finds a
// higher one, and withdraws.
import { randomUUID } from 'node:crypto'
import { existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The content of a lock: the owner's process id, 0 when it is released, and what the owner adds. */
export type LockRecord<Details> = Partial<Details> & { owner: number }

interface Found<Details> {
  generation: number
  record: LockRecord<Details>
}

export class DirectoryLock<Details extends object> {
  readonly #dir: string
  readonly #generation: number
  #record: LockRecord<Details>

  private constructor(dir: string, { generation, record }: Found<Details>) {
    this.#dir = dir
    this.#generation = generation
    this.#record = record
  }

  /**
   * Returns the lock, whose details are those of its last owner with `changes`, or the record of the process that holds
   * it. @param isHeld whether the process of a record is still its owner; called only for unreleased locks.
   */
  static async acquire<Details extends object>(
    dir: string,
    isHeld: (record: LockRecord<Details>) => Promise<boolean>,
    changes: Partial<Details>,
  ): Promise<{ lock: DirectoryLock<Details> } | { heldBy: LockRecord<Details> }> {
    for (;;) {
      const last = latest<Details>(dir)
      if (last && last.record.owner > 0 && (await isHeld(last.record))) return { heldBy: last.record }
      const generation = (last?.generation ?? 0) + 1
      const record = { ...last?.record, ...changes, owner: process.pid } as LockRecord<Details>
      if (!create(dir, generation, record)) continue
      if (generationsOf(dir).some((other) => other > generation)) {
        rmSync(fileOf(dir, generation), { force: true })
        continue
      }
      for (const older of generationsOf(dir)) if (older < generation) rmSync(fileOf(dir, older), { force: true })
      return { lock: new DirectoryLock(dir, { generation, record }) }
    }
  }

  get details(): Partial<Details> {
    return this.#record
  }

  /** Replaces the details. */
  update(details: Details): void {
    this.#write({ ...details, owner: process.pid })
  }

  /** Without effect when the directory is gone. */
  release(): void {
    if (existsSync(this.#dir)) this.#write({ owner: 0 } as LockRecord<Details>)
  }

  #write(record: LockRecord<Details>): void {
    this.#record = record
    const temporary = writeTemporary(this.#dir, record)
    renameSync(temporary, fileOf(this.#dir, this.#generation))
  }
}

function latest<Details>(dir: string): Found<Details> | undefined {
  const generation = Math.max(...generationsOf(dir))
  if (generation < 0) return undefined
  try {
    return { generation, record: JSON.parse(readFileSync(fileOf(dir, generation), 'utf8')) as LockRecord<Details> }
  } catch {
    // Removed since, or damaged: nothing runs that could be named.
    return { generation, record: { owner: 0 } as LockRecord<Details> }
  }
}

/** The numbers of the files; `owner.json`, of earlier versions, is 0. */
function generationsOf(dir: string): number[] {
  return readdirSync(dir).flatMap((name) => {
    const match = /^owner(?:-(\d+))?\.json$/.exec(name)
    return match ? [Number(match[1] ?? 0)] : []
  })
}

function fileOf(dir: string, generation: number): string {
  return join(dir, generation === 0 ? 'owner.json' : `owner-${generation}.json`)
}

/** False when the file exists. It appears with its whole content. */
function create(dir: string, generation: number, record: object): boolean {
  const temporary = writeTemporary(dir, record)
  try {
    linkSync(temporary, fileOf(dir, generation))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

function writeTemporary(dir: string, record: object): string {
  const path = join(dir, `lock-${randomUUID()}.tmp`)
  writeFileSync(path, JSON.stringify(record))
  return path
}
