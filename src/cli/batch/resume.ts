// What an earlier run of the same command has left, and whether this one may go on with it.
import { rm, stat } from 'node:fs/promises'
import type { Inferq } from '../../client/client.ts'
import { CommandError } from '../failure.ts'
import type { Source } from './source.ts'
import type { State, StateFile } from './state.ts'

/** The state of a run that is to be gone on with. @throws Failure when the output is somebody else's. */
export async function loadState(
  inferq: Inferq,
  file: StateFile,
  outputPath: string | undefined,
  restart: boolean | undefined,
): Promise<State | undefined> {
  if (outputPath === undefined) return undefined
  if (restart) {
    const old = await file.read().catch(() => undefined)
    const ids = Object.values(old?.sent ?? {}).flatMap(({ batchId }) => batchId ?? [])
    // They may have ended, or be gone.
    await Promise.allSettled(ids.map((id) => inferq.batches.cancel(id)))
    await discardRun(file, outputPath)
    return undefined
  }
  const state = await file.read()
  const found = await stat(outputPath).catch(() => undefined)
  if (!state && found) throw new CommandError(`${outputPath} exists: give another --output, or --restart to replace it`)
  if (state && state.bytes > (found?.size ?? 0)) {
    throw new CommandError(`${outputPath} is shorter than it was: begin anew with --restart`)
  }
  return state
}

/** Nothing is written, and nothing is on the server: there is nothing to go on with. */
export function isUntouched({ written, sent }: State): boolean {
  return written === 0 && Object.values(sent).every(({ batchId }) => batchId === undefined)
}

export async function discardRun(stateFile: StateFile, outputPath: string): Promise<void> {
  await stateFile.remove()
  await rm(outputPath, { force: true })
}

/** @throws Failure when the unfinished run was about something else. */
export function checkSameRun(earlier: State, source: Source, how: string, outputPath: string | undefined): void {
  const kind = earlier.finishedAt === undefined ? 'an unfinished run' : 'a run'
  const remedy = 'give another --output, or --restart to begin anew'
  if (earlier.input !== source.identity) {
    throw new CommandError(`${outputPath} is from ${kind} over another input (or it was changed since): ${remedy}`)
  }
  if (earlier.how !== how) throw new CommandError(`${outputPath} is from ${kind} with other options: ${remedy}`)
}
