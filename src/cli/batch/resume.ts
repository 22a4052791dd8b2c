// Resuming an earlier run of the same command.
import { rm, stat } from 'node:fs/promises'
import type { Inferq } from '../../client/client.ts'
import { CommandError } from '../failure.ts'
import type { Source } from './source.ts'
import type { State, StateFile } from './state.ts'

/** @returns the state of the run to resume. @throws CommandError when the output does not belong to a run. */
export async function loadState(
  inferq: Inferq,
  file: StateFile,
  outputPath: string | undefined,
  restart: boolean | undefined,
): Promise<State | undefined> {
  if (outputPath === undefined) return undefined
  if (restart) {
    const earlier = await file.read().catch(() => undefined)
    const ids = Object.values(earlier?.sent ?? {}).flatMap(({ batchId }) => batchId ?? [])
    // A batch that has ended or no longer exists cannot be canceled.
    await Promise.allSettled(ids.map((id) => inferq.batches.cancel(id)))
    await discardRun(file, outputPath)
    return undefined
  }
  const state = await file.read()
  const found = await stat(outputPath).catch(() => undefined)
  if (!state && found) throw new CommandError(`${outputPath} exists: give another --output, or --restart to replace it`)
  if (state && state.bytes > (found?.size ?? 0)) {
    throw new CommandError(`${outputPath} is shorter than after the last run: start over with --restart`)
  }
  return state
}

/** Whether a run has neither written a row nor created a batch. */
export function isUntouched({ written, sent }: State): boolean {
  return written === 0 && Object.values(sent).every(({ batchId }) => batchId === undefined)
}

/** Deletes the state and the output. */
export async function discardRun(stateFile: StateFile, outputPath: string): Promise<void> {
  await stateFile.remove()
  await rm(outputPath, { force: true })
}

/** @throws CommandError when the earlier run had another input or other options. */
export function checkSameRun(earlier: State, source: Source, optionsKey: string, outputPath: string | undefined): void {
  const kind = earlier.finishedAt === undefined ? 'an unfinished run' : 'a run'
  const remedy = 'give another --output, or --restart to start over'
  if (earlier.input !== source.identity) {
    throw new CommandError(`${outputPath} is from ${kind} with another input, or the input has changed: ${remedy}`)
  }
  if (earlier.how !== optionsKey) throw new CommandError(`${outputPath} is from ${kind} with other options: ${remedy}`)
}
