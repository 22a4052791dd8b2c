// What a run leaves beside its output, so that the same command goes on where it was.
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { CommandError } from '../failure.ts'
import type { Plan } from './plan.ts'

export interface State {
  v: 1
  /** Which input, and how it is asked about; another one is another run. */
  input: string
  how: string
  plan: Plan
  /** Rows in the output, its bytes, and how many of them failed. */
  written: number
  bytes: number
  failed: number
  /** What the server has of each part that is not finished, by the part's number. */
  sent: Record<string, SentPart>
  /** ISO 8601; present once everything is written. */
  finishedAt?: string
}

export interface SentPart {
  fileId: string
  batchId?: string
}

/** Where a run keeps its state. Without an output file (stdout) nothing is kept. */
export class StateFile {
  readonly path: string | undefined

  constructor(output: string | undefined) {
    this.path = output === undefined ? undefined : `${output}.inferq.json`
  }

  /** @throws Failure when it is there and cannot be used. */
  async read(): Promise<State | undefined> {
    if (this.path === undefined) return undefined
    try {
      const state = JSON.parse(await readFile(this.path, 'utf8')) as State
      if (state.v === 1 && Array.isArray(state.plan.parts)) return state
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    }
    throw new CommandError(`${this.path} cannot be read: delete it, or begin anew with --restart`)
  }

  /** Whole or not at all: it is written aside and renamed. */
  async write(state: State): Promise<void> {
    if (this.path === undefined) return
    await writeFile(`${this.path}.new`, JSON.stringify(state))
    await rename(`${this.path}.new`, this.path)
  }

  async remove(): Promise<void> {
    if (this.path !== undefined) await rm(this.path, { force: true })
  }
}
