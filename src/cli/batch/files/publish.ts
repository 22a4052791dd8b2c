// Completion of a run: its partial output gets the name of the output.
import { rm } from 'node:fs/promises'
import { CommandError } from '../../failure.ts'
import { renameDurably, renameToFree } from './atomic.ts'
import { type FileIdentity, identityOf } from './identity.ts'
import { runFiles } from './run-files.ts'
import { type FinishedState, owned, type RunningState, type State, type StateFile } from './state.ts'
import type { FileTarget } from './target.ts'

/**
 * Can be repeated after a crash at any point.
 * @param state of a run that has all rows in its partial output.
 * @returns the state to save.
 * @throws CommandError when the output is another file.
 */
export async function publish(target: FileTarget, state: RunningState, stateFile: StateFile): Promise<FinishedState> {
  const { partial, input } = runFiles(target.path, state.token)
  const complete = await identityOf(partial)
  if (complete) {
    state.completed = complete.mark
    await stateFile.write(state)
    await takeName(target, partial, state)
  }
  const output = await identityOf(target.path)
  if (!output || output.mark !== state.completed) throw changed(target.name)
  await rm(input, { force: true })
  return owned({
    token: state.token,
    stage: 'finished',
    stamp: state.stamp,
    digest: state.plan.digest,
    how: state.how,
    written: state.written,
    failed: state.failed,
    finishedAt: new Date().toISOString(),
    output: output.mark,
  })
}

async function takeName({ path, name }: FileTarget, partial: string, state: RunningState): Promise<void> {
  if (await renameToFree(partial, path)) return
  const found = await identityOf(path)
  // The second name of a run that ended between the two steps of renameToFree.
  if (found?.mark === state.completed) return await rm(partial, { force: true })
  if (found && !isOwnOutput(found, state)) {
    throw new CommandError(
      `${name} was written by another program meanwhile. The results are in ${partial}; ` +
        `move ${name} away and run the same command again`,
    )
  }
  await renameDurably(partial, path)
}

/** Whether a run may replace the file: it is empty, or it has the results of this run or of the one that it replaces. */
export function isOwnOutput(found: FileIdentity, state: State | undefined): boolean {
  if (found.size === 0) return true
  for (let at = state; at; at = at.stage === 'finished' ? undefined : at.previous) {
    if (found.mark === (at.stage === 'finished' ? at.output : at.stage === 'running' ? at.completed : undefined))
      return true
  }
  return false
}

function changed(name: string): CommandError {
  return new CommandError(`${name} has changed since the results were written`)
}
