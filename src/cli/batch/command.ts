// `inferq batch`: classifies a whole file; a later run of the same command resumes.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Inferq } from '../../client/client.ts'
import { EXIT, InterruptedError } from '../failure.ts'
import { countOf, countText, secondsText } from '../format.ts'
import { withLock } from '../lock.ts'
import { report, type Terminal } from '../terminal.ts'
import { type RunSummary, runToFile } from './file-run.ts'
import { openStream } from './files/output.ts'
import { newToken } from './files/run-files.ts'
import { owned, type RunningState, StateFile } from './files/state.ts'
import { outputTarget, type StreamTarget } from './files/target.ts'
import { type BatchFlags, outputNameOf } from './flags.ts'
import { copyPipe, openFile, rejectTerminal } from './input/source.ts'
import { openInput, planInput, runPlan } from './run.ts'

/** @returns the exit code: `failed` when any row failed. */
export async function batch(inferq: Inferq, flags: BatchFlags, terminal: Terminal): Promise<number> {
  if (flags.input === '-') rejectTerminal(terminal)
  else await openFile(flags.input)
  const began = Date.now()
  const target = await outputTarget(outputNameOf(flags))
  const summary =
    target.kind === 'file'
      ? await withLock({ path: `${target.path}.inferq.lock`, name: target.name }, terminal, (signal) =>
          runToFile({ inferq, flags, target, terminal, signal }),
        )
      : await runToStream(inferq, flags, target, terminal)
  return reportEnd(summary, outputNameOf(flags), (Date.now() - began) / 1_000, terminal)
}

/** Without an output file there is no state, and the run cannot be resumed. */
async function runToStream(
  inferq: Inferq,
  flags: BatchFlags,
  target: StreamTarget,
  terminal: Terminal,
): Promise<RunSummary> {
  const { signal } = terminal
  const folder = flags.input === '-' ? await mkdtemp(join(tmpdir(), 'inferq-')) : undefined
  let state: RunningState | undefined
  try {
    const source = folder ? await copyPipe(join(folder, 'input'), terminal, signal) : await openFile(flags.input)
    const input = await openInput(source, flags, terminal)
    const plan = await planInput(inferq, input, flags, terminal, signal)
    const run = { token: newToken(), stage: 'running', how: input.how, plan } as const
    state = owned({ ...run, written: 0, bytes: 0, failed: 0, sent: {} })
    const output = await openStream(target.path, terminal.stdout)
    const stateFile = new StateFile(undefined)
    const onAccepted = async () => false
    await runPlan({ inferq, flags, input, state, stateFile, output, terminal, signal, onAccepted })
    return { state, before: 0 }
  } catch (error) {
    if (signal.aborted && state) throw new InterruptedError(interruptedMessage(state), { cause: error })
    throw error
  } finally {
    if (folder) await rm(folder, { recursive: true, force: true })
  }
}

function reportEnd(
  { state, before, finished }: RunSummary,
  name: string | undefined,
  seconds: number,
  terminal: Terminal,
) {
  const where = name === undefined ? '' : ` → ${name}`
  const rows = countOf(state.written, 'row')
  if (finished) {
    const when = new Date(finished.finishedAt).toLocaleString('sv-SE')
    report(terminal, `already finished on ${when}: ${rows}${where}`)
    report(terminal, '--restart runs it again')
  } else {
    // A run of less than a second has no meaningful rate.
    const rate = `${countText((state.written - before) / seconds)} rows/s`
    report(terminal, `${rows}${seconds < 1 ? '' : ` in ${secondsText(seconds)} (${rate})`}${where}`)
  }
  if (state.failed === 0) return EXIT.ok
  report(terminal, `${countOf(state.failed, 'row')} failed; see "error" in the output`)
  return EXIT.failed
}

function interruptedMessage({ written, plan, sent }: RunningState): string {
  const ids = Object.values(sent).flatMap(({ batchId }) => batchId ?? [])
  const onServer = ids.length > 0 ? `the server continues with ${ids.join(', ')}; inferq batch cancel stops it` : ''
  return `stopped after ${countText(written)} of ${countText(plan.total)} rows${onServer ? `; ${onServer}` : ''}`
}
