// Names of the files of one run, next to its output.
// Each contains the token that the state file records before the file is created: a file is the run's own when its
// name has the token.
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'

export interface RunFiles {
  /** The rows so far; renamed to the output when it is complete. */
  partial: string
  /** The copy of a pipe. */
  input: string
  /** The copy of a pipe that is still read. */
  newInput: string
  /** The next content of the state file. */
  state: string
}

export function newToken(): string {
  return randomBytes(4).toString('hex')
}

export function runFiles(output: string, token: string): RunFiles {
  const start = `${output}.${token}`
  return {
    partial: `${start}.partial`,
    input: `${start}.input`,
    newInput: `${start}.input.new`,
    state: `${start}.state`,
  }
}

export async function removeRunFiles(output: string, token: string): Promise<void> {
  for (const path of Object.values(runFiles(output, token)) as string[]) await rm(path, { force: true })
}
