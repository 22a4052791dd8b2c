// Model folders on disk.
import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { type Inspection, inspectFolder } from '../../worker/models/inspect.ts'
import { CommandError } from '../failure.ts'

/** @param name the name to serve the model under; the folder's by default. @throws CommandError without the folder. */
export async function inspect(folder: string, name?: string): Promise<Inspection> {
  const dir = resolve(folder)
  if (!(await isFolder(dir))) throw new CommandError(`${folder}: no such folder`)
  return inspectFolder(name ?? basename(dir), dir)
}

/** @returns a message with one line per problem. */
export function listProblems(folder: string, problems: string[]): string {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  return `${folder} cannot be served, ${count}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
