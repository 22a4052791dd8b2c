// `inferq batch`: classifies a whole file; a later run of the same command resumes.
import { basename } from 'node:path'
import type { Inferq } from '../../client/client.ts'
import type { PredictOptions, ServerInfo } from '../../client/types.ts'
import { CommandError, EXIT, InterruptedError, UsageError } from '../failure.ts'
import { bytesText, countText, secondsText } from '../format.ts'
import { showProgress } from '../progress.ts'
import { report, type Terminal } from '../terminal.ts'
import { type Layout, layoutOf } from './input-rows.ts'
import { openOutput, streamOutput } from './output.ts'
import { type BatchLimits, planOf } from './plan.ts'
import { type OutputFormat, ResultWriter } from './result-writer.ts'
import { checkSameRun, discardRun, isUntouched, loadState } from './resume.ts'
import { PlanRun } from './run-plan.ts'
import { type Format, formatOf, openFile, openPipe, type Source } from './source.ts'
import { type State, StateFile } from './state.ts'

export interface BatchFlags extends PredictOptions {
  /** A path, or `-` for stdin. */
  input: string
  /** A path, or `-` for stdout; by default a file next to the input, or stdout for a pipe. */
  output?: string | undefined
  format?: Format | undefined
  outputFormat?: OutputFormat | undefined
  column?: string | undefined
  pairColumn?: string | undefined
  delimiter?: string | undefined
  restart?: boolean | undefined
  /** The URL of the server, as given. */
  url: string
}

/** Limits of a server that does not report its own (http-api.md, "Batches"). */
const DEFAULT_LIMITS = { lines: 50_000, bytes: 200 * 1_048_576, line: 1_048_576 }
/** Larger inputs show the progress of planning. */
const LARGE_INPUT_BYTES = 20 * 1_048_576

/** @returns the exit code: `failed` when any row failed. */
export async function batch(inferq: Inferq, flags: BatchFlags, terminal: Terminal): Promise<number> {
  const outputPath = outputPathOf(flags)
  const stateFile = new StateFile(outputPath)
  const source = flags.input === '-' ? await openPipe(terminal, outputPath) : await openFile(flags.input)
  let isDone = outputPath === undefined
  try {
    const layout = await layoutOf(source, inputOptionsOf(flags))
    const optionsKey = optionsKeyOf(flags, layout)
    const earlier = await loadState(inferq, stateFile, outputPath, flags.restart)
    if (earlier) checkSameRun(earlier, source, optionsKey, outputPath)
    if (earlier?.finishedAt !== undefined) {
      isDone = true
      return reportFinished(earlier, outputPath, terminal)
    }
    if (earlier)
      report(terminal, `resuming after row ${countText(earlier.written)} of ${countText(earlier.plan.total)}`)
    const state = earlier ?? (await newState(inferq, source, layout, optionsKey, terminal))
    const code = await runPlan(inferq, { flags, source, layout, state, stateFile, outputPath, terminal })
    isDone = true
    return code
  } finally {
    // A pipe cannot be read again, so its copy is kept for the run that resumes.
    if (isDone) await source.discard()
  }
}

interface RunPlanOptions {
  flags: BatchFlags
  source: Source
  layout: Layout
  state: State
  stateFile: StateFile
  outputPath: string | undefined
  terminal: Terminal
}

async function runPlan(
  inferq: Inferq,
  { flags, source, layout, state, stateFile, outputPath, terminal }: RunPlanOptions,
) {
  const { signal } = terminal
  const began = Date.now()
  const before = state.written
  const output = outputPath === undefined ? streamOutput(terminal.stdout) : await openOutput(outputPath, state.bytes)
  const format = outputFormatOf(flags, outputPath)
  const writer = new ResultWriter({
    format,
    verbatim: layout.kind === 'requests',
    names: state.plan.names,
    topK: flags.topK,
  })
  const progress = showProgress(terminal, { unit: 'rows', total: state.plan.total, done: before })
  const filename = flags.input === '-' ? 'stdin.jsonl' : `${basename(flags.input)}.jsonl`
  try {
    await new PlanRun({ inferq, source, layout, filename, state, stateFile, output, writer, progress, signal }).finish()
  } catch (error) {
    if (signal.aborted) throw new InterruptedError(interruptedMessage(state, outputPath), { cause: error })
    throw error
  } finally {
    progress.stop()
    await output.close()
    if (outputPath !== undefined && isUntouched(state)) await discardRun(stateFile, outputPath)
  }
  const seconds = (Date.now() - began) / 1_000
  // A run of less than a second has no meaningful rate.
  const duration =
    seconds < 1 ? '' : ` in ${secondsText(seconds)} (${countText((state.written - before) / seconds)} rows/s)`
  report(terminal, `${countText(state.written)} rows${duration}${outputSuffix(outputPath)}`)
  return reportFailed(state, terminal)
}

function outputPathOf({ input, output }: BatchFlags): string | undefined {
  if (output === '-' || (output === undefined && input === '-')) return undefined
  return output ?? `${input}.results.jsonl`
}

function outputFormatOf(flags: BatchFlags, outputPath: string | undefined): OutputFormat {
  if (flags.outputFormat) return flags.outputFormat
  return outputPath !== undefined && formatOf(outputPath) === 'csv' ? 'csv' : 'jsonl'
}

function inputOptionsOf(flags: BatchFlags) {
  const { input, column, pairColumn, model, topK, truncate, truncationDirection } = flags
  const format = flags.format ?? (input === '-' ? 'lines' : formatOf(input))
  if (format === undefined) {
    throw new UsageError(`unknown file extension of ${input}: give --format jsonl, csv or lines`)
  }
  const options = { model, topK, truncate, truncationDirection, function: flags.function }
  const delimiter = flags.delimiter ?? (input.toLowerCase().endsWith('.tsv') ? '\t' : ',')
  return { format, column, pairColumn, delimiter, options }
}

/** Commands of the same run have the same key. */
function optionsKeyOf(flags: BatchFlags, { kind, column, pairColumn, delimiter, options }: Layout): string {
  return JSON.stringify({ url: flags.url, kind, column, pairColumn, delimiter, ...options })
}

async function newState(
  inferq: Inferq,
  source: Source,
  layout: Layout,
  optionsKey: string,
  terminal: Terminal,
): Promise<State> {
  const info = await inferq.info(terminal.signal)
  await checkModel(inferq, layout.options.model, terminal.signal)
  const progress =
    source.bytes > LARGE_INPUT_BYTES
      ? showProgress(terminal, { unit: 'read', total: source.bytes, count: bytesText })
      : undefined
  try {
    const plan = await planOf(source, layout, limitsOf(info), terminal.signal, progress)
    return { v: 1, input: source.identity, how: optionsKey, plan, written: 0, bytes: 0, failed: 0, sent: {} }
  } finally {
    progress?.stop()
  }
}

/** Without this check every row would fail after the upload. @throws CommandError that lists the served models. */
async function checkModel(inferq: Inferq, wanted: string | undefined, signal: AbortSignal): Promise<void> {
  if (wanted === undefined) return
  const name = wanted.split('@')[0]?.split('/').at(-1)
  const models = await inferq.models.list(signal)
  const found = models.find(({ id }) => id === name)
  if (found?.state === 'refused') throw new CommandError(`the workers refused the model "${name}": ${found.reason}`)
  if (found) return
  const names = models.flatMap(({ id, state }) => (state === 'refused' ? [] : [id]))
  throw new CommandError(`no such model "${wanted}"; served models: ${names.join(', ') || 'none'}`)
}

function limitsOf({ limits }: ServerInfo): BatchLimits {
  return {
    lines: limits['max_batch_lines'] ?? DEFAULT_LIMITS.lines,
    bytes: limits['max_file_bytes'] ?? DEFAULT_LIMITS.bytes,
    line: limits['max_body_bytes'] ?? DEFAULT_LIMITS.line,
  }
}

function reportFinished(state: State, outputPath: string | undefined, terminal: Terminal): number {
  const when = new Date(state.finishedAt ?? 0).toLocaleString('sv-SE')
  report(terminal, `already finished on ${when}: ${countText(state.written)} rows${outputSuffix(outputPath)}`)
  report(terminal, '--restart runs it again')
  return reportFailed(state, terminal)
}

function reportFailed({ failed }: State, terminal: Terminal): number {
  if (failed === 0) return EXIT.ok
  report(terminal, `${countText(failed)} ${failed === 1 ? 'row' : 'rows'} failed; see "error" in the output`)
  return EXIT.failed
}

function interruptedMessage({ written, plan, sent }: State, outputPath: string | undefined): string {
  const ids = Object.values(sent).flatMap(({ batchId }) => batchId ?? [])
  const last = plan.parts.findLast((_part, at) => sent[at]?.batchId !== undefined)
  const onServer = ids.length > 0 ? `the server continues with ${ids.join(', ')}` : 'no batch is created yet'
  const rest = last && last.row + last.rows < plan.total ? ', the remaining rows are not uploaded yet' : ''
  const next = outputPath === undefined ? 'The server keeps the results' : 'Run the same command again to resume'
  return `stopped after ${countText(written)} of ${countText(plan.total)} rows; ${onServer}${rest}. ${next}`
}

function outputSuffix(outputPath: string | undefined): string {
  return outputPath === undefined ? '' : ` → ${outputPath}`
}
