// State of a run, saved next to its output so that the same command resumes it.
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { CommandError } from '../failure.ts'
import type { Plan } from './plan.ts'

export interface State {
  v: 1
  /** The identity of the input. */
  input: string
  /** The server and the options, as JSON; with other ones the run is not resumed. */
  how: string
  plan: Plan
  /** Rows in the output. */
  written: number
  /** Bytes in the output. */
  bytes: number
  /** Rows in the output that failed. */
  failed: number
  /** The file and the batch of every unfinished part, by part number. */
  sent: Record<string, SentPart>
  /** ISO 8601; present once all rows are written. */
  finishedAt?: string
}

export interface SentPart {
  fileId: string
  batchId?: string
}

/** The file `OUTPUT.inferq.json`; a run that writes to stdout has none. */
export class StateFile {
  readonly path: string | undefined

  constructor(output: string | undefined) {
    this.path = output === undefined ? undefined : `${output}.inferq.json`
  }

  /** @returns undefined without a file. @throws CommandError when it is invalid. */
  async read(): Promise<State | undefined> {
    if (this.path === undefined) return undefined
    try {
      const state = JSON.parse(await readFile(this.path, 'utf8')) as State
      if (state.v === 1 && Array.isArray(state.plan.parts)) return state
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    }
    throw new CommandError(`${this.path} is invalid: delete it, or start over with --restart`)
  }

  /** Replaces the file atomically. */
  async write(state: State): Promise<void> {
    if (this.path === undefined) return
    await writeFile(`${this.path}.new`, JSON.stringify(state))
    await rename(`${this.path}.new`, this.path)
  }

  async remove(): Promise<void> {
    if (this.path !== undefined) await rm(this.path, { force: true })
  }
}
