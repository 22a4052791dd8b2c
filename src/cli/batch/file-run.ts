// A run with an output file: starts, resumes, or reports a finished one.
import { rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Inferq } from '../../client/client.ts'
import { InterruptedError } from '../failure.ts'
import { countText } from '../format.ts'
import { report, type Terminal } from '../terminal.ts'
import { identityOf } from './files/identity.ts'
import { openPartial } from './files/output.ts'
import { publish } from './files/publish.ts'
import { newToken, runFiles } from './files/run-files.ts'
import { type FinishedState, owned, type RunningState, StateFile } from './files/state.ts'
import type { FileTarget } from './files/target.ts'
import type { BatchFlags } from './flags.ts'
import { copyPipe, openFile } from './input/source.ts'
import { abandon, checkNotInput, checkOutput, checkSameRun, dropPrevious, isUntouched, readEarlier } from './resume.ts'
import { type OpenedInput, openInput, planInput, runPlan } from './run.ts'

export interface FileRunOptions {
  inferq: Inferq
  flags: BatchFlags
  target: FileTarget
  terminal: Terminal
  signal: AbortSignal
}

/** What a run has done when it ends. */
export interface RunSummary {
  state: Pick<FinishedState, 'written' | 'failed'>
  /** Rows that earlier runs wrote. */
  before: number
  /** Set for a run that had finished before. */
  finished?: FinishedState
}

/** The caller holds the lock of the output. */
export async function runToFile(options: FileRunOptions): Promise<RunSummary> {
  const { flags, target, terminal } = options
  const stateFile = new StateFile(target.path)
  await checkNotInput(target, flags.input, terminal)
  const earlier = await readEarlier(target, stateFile)
  await checkOutput(target, earlier, flags.restart === true)
  if (!earlier || flags.restart) return startRun(options, stateFile, earlier)
  const input = await openAgain(options, earlier)
  if (earlier.stage === 'finished') {
    await reportOutput(target, earlier, terminal)
    return { state: earlier, before: earlier.written, finished: earlier }
  }
  report(terminal, `resuming after row ${countText(earlier.written)} of ${countText(earlier.plan.total)}`)
  return finishRun(options, stateFile, input, earlier)
}

async function startRun(
  options: FileRunOptions,
  stateFile: StateFile,
  previous: RunningState | FinishedState | undefined,
): Promise<RunSummary> {
  const { inferq, flags, target, terminal, signal } = options
  const token = newToken()
  const replaced = previous ? { previous } : {}
  const files = runFiles(target.path, token)
  const claimed = owned({ token, stage: 'claimed', ...replaced } as const)
  const isPipe = flags.input === '-'
  try {
    if (isPipe) await stateFile.write(claimed)
    const source = isPipe ? await copyPipe(files.input, terminal, signal) : await openFile(flags.input)
    const input = await openInput(source, flags, terminal)
    const plan = await planInput(inferq, input, flags, terminal, signal)
    const state: RunningState = owned({
      token,
      stage: 'running',
      stamp: source.stamp,
      how: input.how,
      plan,
      written: 0,
      bytes: 0,
      failed: 0,
      sent: {},
      ...replaced,
    } as const)
    await stateFile.write(state)
    return await finishRun(options, stateFile, input, state)
  } catch (error) {
    const now = await stateFile.read().catch(() => undefined)
    if (now?.token === token && now.stage === 'claimed') await abandon(target, stateFile, now)
    throw error
  }
}

/** The input of a run that is resumed. A pipe is copied again, because it must be compared with the earlier one. */
async function openAgain(
  { flags, target, terminal, signal }: FileRunOptions,
  earlier: RunningState | FinishedState,
): Promise<OpenedInput> {
  if (flags.input !== '-') {
    const input = await openInput(await openFile(flags.input), flags, terminal)
    await checkSameRun(earlier, input.source, input.how, target)
    return input
  }
  const { input: copy, newInput } = runFiles(target.path, earlier.token)
  try {
    const copied = await openInput(await copyPipe(newInput, terminal, signal), flags, terminal)
    await checkSameRun(earlier, copied.source, copied.how, target)
    if (earlier.stage === 'running') await rename(newInput, copy)
    return { ...copied, source: { ...copied.source, path: copy } }
  } finally {
    await rm(newInput, { force: true })
  }
}

async function finishRun(
  options: FileRunOptions,
  stateFile: StateFile,
  input: OpenedInput,
  state: RunningState,
): Promise<RunSummary> {
  const { inferq, target } = options
  const before = state.written
  const { partial } = runFiles(target.path, state.token)
  if (state.completed === undefined) {
    try {
      const output = await openPartial(partial, state.bytes, (await identityOf(target.path))?.mode)
      const onAccepted = () => dropPrevious(inferq, target, state)
      await runPlan({ ...options, input, state, stateFile, output, onAccepted })
    } catch (error) {
      if (isUntouched(state)) await abandon(target, stateFile, state)
      if (options.terminal.signal.aborted)
        throw new InterruptedError(interruptedMessage(state, partial), { cause: error })
      throw error
    }
  }
  await stateFile.write(await publish(target, state, stateFile))
  return { state, before }
}

async function reportOutput({ path, name }: FileTarget, { output }: FinishedState, terminal: Terminal): Promise<void> {
  const found = await identityOf(path)
  if (!found) report(terminal, `${name} no longer exists`)
  else if (found.mark !== output) report(terminal, `${name} has been changed since`)
}

function interruptedMessage({ written, plan, sent }: RunningState, partial: string): string {
  const ids = Object.values(sent).flatMap(({ batchId }) => batchId ?? [])
  const last = plan.parts.findLast((_part, at) => sent[at]?.batchId !== undefined)
  const onServer = ids.length > 0 ? `the server continues with ${ids.join(', ')}` : 'no batch is created yet'
  const rest = last && last.row + last.rows < plan.total ? ', the remaining rows are not uploaded yet' : ''
  const rows = written > 0 ? ` (in ${basename(partial)})` : ''
  return (
    `stopped after ${countText(written)} of ${countText(plan.total)} rows${rows}; ${onServer}${rest}. ` +
    'Run the same command again to resume'
  )
}
