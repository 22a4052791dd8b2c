// State of a run, saved next to its output. It records which files are the run's own, and how far the run is.
import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CommandError } from '../../failure.ts'
import type { Plan } from '../plan.ts'
import { renameDurably, renameToFree, writeDurably } from './atomic.ts'
import { runFiles } from './run-files.ts'

interface Owned {
  program: 'inferq batch'
  v: 2
  /** Part of the names of the run's files. */
  token: string
}

/** The run has only its token: it copies a pipe. */
export interface ClaimedState extends Owned {
  stage: 'claimed'
  previous?: State
}

export interface RunningState extends Owned {
  stage: 'running'
  /** The stamp of the input. */
  stamp?: string | undefined
  /** The server and the options, as JSON; with other ones the run is not resumed. */
  how: string
  plan: Plan
  /** Rows in the partial output. */
  written: number
  /** Bytes in the partial output. */
  bytes: number
  /** Rows in the partial output that failed. */
  failed: number
  /** The file and the batch of every unfinished part, by part number. */
  sent: Record<string, SentPart>
  /** Files and batches of the unfinished runs that this one has replaced. */
  discarded?: SentPart[]
  /** `mark` of the partial output that has all rows. */
  completed?: string
  /** The run that this one replaces; an unfinished one only until the server has accepted the first batch. */
  previous?: State
}

export interface FinishedState extends Owned {
  stage: 'finished'
  stamp?: string | undefined
  /** SHA-256 of the input. */
  digest: string
  how: string
  written: number
  failed: number
  /** ISO 8601 */
  finishedAt: string
  /** `mark` of the output. */
  output: string
}

export type State = ClaimedState | RunningState | FinishedState

export interface SentPart {
  fileId: string
  batchId?: string
}

/** The start of every state file. */
const PROGRAM_MARK = '{"program":"inferq batch"'
const OWNED = { program: 'inferq batch', v: 2 } as const

/** A state of this program and version; `program` is its first member. */
export function owned<T extends Omit<State, 'program' | 'v'>>(state: T): T & typeof OWNED {
  return { ...OWNED, ...state }
}

/** The file `OUTPUT.inferq.json`; a run that writes to a stream has none. */
export class StateFile {
  readonly path: string | undefined
  readonly #output: string | undefined
  #exists = false

  constructor(output: string | undefined) {
    this.#output = output
    this.path = output === undefined ? undefined : `${output}.inferq.json`
  }

  /** @returns undefined without a file. @throws CommandError when the file is not from this program. */
  async read(): Promise<State | undefined> {
    if (this.path === undefined) return undefined
    try {
      const state = JSON.parse(await readFile(this.path, 'utf8')) as Partial<State> | null
      if (state?.program === OWNED.program && state.v === OWNED.v && /^[0-9a-f]{8}$/.test(state.token ?? '')) {
        this.#exists = true
        return state as State
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      if (!(error instanceof SyntaxError)) throw error
    }
    throw new CommandError(`${this.path} is not the state of a run of this version: move it, or give another --output`)
  }

  /** Replaces the file atomically; the first write fails when another program has created a file of this name. */
  async write(state: State): Promise<void> {
    if (this.path === undefined || this.#output === undefined) return
    const { state: next } = runFiles(this.#output, state.token)
    await writeDurably(next, JSON.stringify(state))
    if (this.#exists) await renameDurably(next, this.path)
    else if (!(await renameToFree(next, this.path))) {
      await rm(next)
      throw new CommandError(`${this.path} exists: move it, or give another --output`)
    }
    this.#exists = true
  }

  async remove(): Promise<void> {
    if (this.path === undefined) return
    await rm(this.path, { force: true })
    this.#exists = false
  }

  /** Removes the first state of a run that ended before it was in place. The caller holds the lock of the output. */
  async removeStray(): Promise<void> {
    if (this.#output === undefined) return
    const [folder, start] = [dirname(this.#output), `${basename(this.#output)}.`]
    for (const name of await readdir(folder)) {
      if (!name.startsWith(start) || !/^[0-9a-f]{8}\.state$/.test(name.slice(start.length))) continue
      const path = join(folder, name)
      const content = await readFile(path, 'utf8')
      if (content === '' || content.startsWith(PROGRAM_MARK)) await rm(path, { force: true })
    }
  }
}
