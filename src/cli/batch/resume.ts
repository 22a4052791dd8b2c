// Earlier runs of the same output: resumed, reported, replaced or refused.
import { fstat } from 'node:fs'
import { promisify } from 'node:util'
import type { Inferq } from '../../client/client.ts'
import { CommandError } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { identityOf } from './files/identity.ts'
import { isOwnOutput } from './files/publish.ts'
import { removeRunFiles } from './files/run-files.ts'
import type { ClaimedState, FinishedState, RunningState, State, StateFile } from './files/state.ts'
import type { FileTarget } from './files/target.ts'
import type { Source } from './input/source.ts'

/** @returns the state of the last run that has more than a claim; undefined without one. */
export async function readEarlier(
  target: FileTarget,
  stateFile: StateFile,
): Promise<RunningState | FinishedState | undefined> {
  await stateFile.removeStray()
  let state = await stateFile.read()
  while (state?.stage === 'claimed') state = await abandon(target, stateFile, state)
  return state
}

/** Removes a run without results, and restores the state of the run that it would have replaced. */
export async function abandon(
  target: FileTarget,
  stateFile: StateFile,
  state: ClaimedState | RunningState,
): Promise<State | undefined> {
  // The state is the proof that the files are the run's own, so it is removed last.
  await removeRunFiles(target.path, state.token)
  if (state.previous) await stateFile.write(state.previous)
  else await stateFile.remove()
  return state.previous
}

/** @throws CommandError when the output is the input, also by another path. */
export async function checkNotInput(target: FileTarget, input: string, { stdin }: Terminal): Promise<void> {
  const output = await identityOf(target.path)
  if (output && output.place === (await inputPlace(input, stdin))) {
    throw new CommandError(`${target.name} is the input: give another --output`)
  }
}

async function inputPlace(input: string, stdin: Terminal['stdin']): Promise<string | undefined> {
  if (input !== '-') return (await identityOf(input))?.place
  const fd = (stdin as { fd?: unknown }).fd
  if (typeof fd !== 'number') return undefined
  const { dev, ino } = await promisify(fstat)(fd, { bigint: true })
  return `${dev} ${ino}`
}

/** @throws CommandError when the output exists and is neither empty nor from a run of this command, or is read-only. */
export async function checkOutput(target: FileTarget, earlier: State | undefined, restart: boolean): Promise<void> {
  const found = await identityOf(target.path)
  if (!found || (earlier?.stage === 'finished' && !restart)) return
  if (!isOwnOutput(found, earlier)) {
    throw new CommandError(
      earlier
        ? `${target.name} has been changed by another program: move it away, or give another --output`
        : `${target.name} exists and is not from inferq batch: give another --output`,
    )
  }
  if ((found.mode & 0o222) === 0) throw new CommandError(`${target.name} is read-only: give another --output`)
}

/** @throws CommandError when the earlier run had another input or other options. */
export async function checkSameRun(
  earlier: RunningState | FinishedState,
  source: Source,
  how: string,
  { name }: FileTarget,
): Promise<void> {
  const kind = earlier.stage === 'finished' ? 'a run' : 'an unfinished run'
  const remedy = 'give another --output, or --restart to start over'
  const digest = earlier.stage === 'finished' ? earlier.digest : earlier.plan.digest
  const isSame = (source.stamp !== undefined && source.stamp === earlier.stamp) || (await source.digest()) === digest
  if (!isSame) {
    throw new CommandError(`${name} is from ${kind} with another input, or the input has changed: ${remedy}`)
  }
  if (earlier.how !== how) throw new CommandError(`${name} is from ${kind} with other options: ${remedy}`)
}

/** Whether a run has neither written a row nor created a batch. */
export function isUntouched({ written, sent }: RunningState): boolean {
  return written === 0 && Object.values(sent).every(({ batchId }) => batchId === undefined)
}

/**
 * Ends the unfinished runs that a run replaces, once the server has accepted it; finished results stay until its end.
 * @returns whether the state has changed.
 */
export async function dropPrevious(inferq: Inferq, target: FileTarget, state: RunningState): Promise<boolean> {
  let { previous } = state
  if (!previous || previous.stage === 'finished') return false
  while (previous && previous.stage !== 'finished') {
    const sent = previous.stage === 'running' ? Object.values(previous.sent) : []
    // A batch that has ended or no longer exists cannot be canceled.
    await Promise.allSettled(sent.flatMap(({ batchId }) => (batchId ? [inferq.batches.cancel(batchId)] : [])))
    await removeRunFiles(target.path, previous.token)
    state.discarded = [...(state.discarded ?? []), ...sent]
    previous = previous.previous
  }
  if (previous) state.previous = previous
  else delete state.previous
  return true
}
