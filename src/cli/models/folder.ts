// Folders of models as the commands see them.
import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { type Inspection, inspectFolder } from '../../worker/models/inspect.ts'
import { CommandError } from '../failure.ts'

/** Looks at a folder under the name that it would be served by. @throws Failure when there is no such folder. */
export async function inspect(folder: string, name?: string): Promise<Inspection> {
  const dir = resolve(folder)
  const found = await stat(dir).catch(() => undefined)
  if (!found?.isDirectory()) throw new CommandError(`${folder}: there is no such folder`)
  return inspectFolder(name ?? basename(dir), dir)
}

/** What a person can do about a folder, one line each. */
export function listProblems(folder: string, problems: string[]): string {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  return `${folder} cannot be served, ${count}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`
}
