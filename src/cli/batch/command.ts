// `inferq batch`: a whole file of texts, while nobody waits; resumes where it was.
import { basename } from 'node:path'
import type { Inferq } from '../../client/client.ts'
import type { PredictOptions, ServerInfo } from '../../client/types.ts'
import { EXIT, CommandError, InterruptedError, UsageError } from '../failure.ts'
import { checkSameRun, loadState, discardRun, isUntouched } from './resume.ts'
import { openOutput, streamOutput } from './output.ts'
import { type BatchLimits, planOf } from './plan.ts'
import { type OutputFormat, ResultWriter } from './result-writer.ts'
import { type Layout, layoutOf } from './input-rows.ts'
import { PlanRun } from './run-plan.ts'
import { type Format, formatOf, openFile, openPipe, type Source } from './source.ts'
import { type State, StateFile } from './state.ts'
import { showProgress } from '../progress.ts'
import { bytesText, countText, secondsText } from '../format.ts'
import { report, type Terminal } from '../terminal.ts'

export interface BatchFlags extends PredictOptions {
  /** A path, or `-` for stdin. */
  input: string
  /** A path, or `-` for stdout; undefined: beside the input, or stdout for a pipe. */
  output?: string | undefined
  format?: Format | undefined
  outputFormat?: OutputFormat | undefined
  column?: string | undefined
  pairColumn?: string | undefined
  delimiter?: string | undefined
  restart?: boolean | undefined
  /** The server, as it was named. */
  url: string
}

/** What a server that does not report it takes (http-api.md, "Batches"). */
const USUAL_LIMITS = { lines: 50_000, bytes: 200 * 1_048_576, line: 1_048_576 }
/** Planning is shown from here on; smaller files take no time. */
const LARGE_BYTES = 20 * 1_048_576

/** @returns the exit code: failed when some row was. */
export async function batch(inferq: Inferq, flags: BatchFlags, terminal: Terminal): Promise<number> {
  const outputPath = outputOf(flags)
  const stateFile = new StateFile(outputPath)
  const source = flags.input === '-' ? await openPipe(terminal, outputPath) : await openFile(flags.input)
  let isDone = outputPath === undefined
  try {
    const layout = await layoutOf(source, readingOf(flags))
    const how = howOf(flags, layout)
    const earlier = await loadState(inferq, stateFile, outputPath, flags.restart)
    if (earlier) checkSameRun(earlier, source, how, outputPath)
    if (earlier?.finishedAt !== undefined) {
      isDone = true
      return reportFinished(earlier, outputPath, terminal)
    }
    if (earlier)
      report(terminal, `going on after row ${countText(earlier.written)} of ${countText(earlier.plan.total)}`)
    const state = earlier ?? (await newState(inferq, source, layout, how, terminal))
    const code = await work(inferq, { flags, source, layout, state, stateFile, outputPath, terminal })
    isDone = true
    return code
  } finally {
    // A pipe cannot be read again: its copy stays for the run that goes on.
    if (isDone) await source.discard()
  }
}

interface Work {
  flags: BatchFlags
  source: Source
  layout: Layout
  state: State
  stateFile: StateFile
  outputPath: string | undefined
  terminal: Terminal
}

async function work(inferq: Inferq, { flags, source, layout, state, stateFile, outputPath, terminal }: Work) {
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
    if (signal.aborted) throw new InterruptedError(farewell(state, outputPath), { cause: error })
    throw error
  } finally {
    progress.stop()
    await output.close()
    if (outputPath !== undefined && isUntouched(state)) await discardRun(stateFile, outputPath)
  }
  const seconds = (Date.now() - began) / 1_000
  // Of less than a second no speed can be told.
  const pace =
    seconds < 1 ? '' : ` in ${secondsText(seconds)} (${countText((state.written - before) / seconds)} rows/s)`
  report(terminal, `${countText(state.written)} rows${pace}${into(outputPath)}`)
  return reportFailed(state, terminal)
}

function outputOf({ input, output }: BatchFlags): string | undefined {
  if (output === '-' || (output === undefined && input === '-')) return undefined
  return output ?? `${input}.results.jsonl`
}

function outputFormatOf(flags: BatchFlags, outputPath: string | undefined): OutputFormat {
  if (flags.outputFormat) return flags.outputFormat
  return outputPath !== undefined && formatOf(outputPath) === 'csv' ? 'csv' : 'jsonl'
}

function readingOf(flags: BatchFlags) {
  const { input, column, pairColumn, model, topK, truncate, truncationDirection } = flags
  const format = flags.format ?? (input === '-' ? 'lines' : formatOf(input))
  if (format === undefined) {
    throw new UsageError(`what is in ${input}? Its name does not tell: give --format jsonl, csv or lines`)
  }
  const options = { model, topK, truncate, truncationDirection, function: flags.function }
  const delimiter = flags.delimiter ?? (input.toLowerCase().endsWith('.tsv') ? '\t' : ',')
  return { format, column, pairColumn, delimiter, options }
}

/** Two commands with the same text here are the same run. */
function howOf(flags: BatchFlags, { kind, column, pairColumn, delimiter, options }: Layout): string {
  return JSON.stringify({ url: flags.url, kind, column, pairColumn, delimiter, ...options })
}

async function newState(
  inferq: Inferq,
  source: Source,
  layout: Layout,
  how: string,
  terminal: Terminal,
): Promise<State> {
  const info = await inferq.info(terminal.signal)
  await checkModel(inferq, layout.options.model, terminal.signal)
  const shown =
    source.bytes > LARGE_BYTES
      ? showProgress(terminal, { unit: 'read', total: source.bytes, count: bytesText })
      : undefined
  try {
    const plan = await planOf(source, layout, limitsOf(info), terminal.signal, shown)
    return { v: 1, input: source.identity, how, plan, written: 0, bytes: 0, failed: 0, sent: {} }
  } finally {
    shown?.stop()
  }
}

/** Better told before a file is sent than of each of its rows. @throws Failure that names the models there are. */
async function checkModel(inferq: Inferq, wanted: string | undefined, signal: AbortSignal): Promise<void> {
  if (wanted === undefined) return
  const name = wanted.split('@')[0]?.split('/').at(-1)
  const models = await inferq.models.list(signal)
  const found = models.find(({ id }) => id === name)
  if (found?.state === 'refused') throw new CommandError(`the workers refuse the model "${name}": ${found.reason}`)
  if (found) return
  const names = models.flatMap(({ id, state }) => (state === 'refused' ? [] : [id]))
  throw new CommandError(`there is no model "${wanted}"; served are ${names.join(', ') || 'none'}`)
}

function limitsOf({ limits }: ServerInfo): BatchLimits {
  return {
    lines: limits['max_batch_lines'] ?? USUAL_LIMITS.lines,
    bytes: limits['max_file_bytes'] ?? USUAL_LIMITS.bytes,
    line: limits['max_body_bytes'] ?? USUAL_LIMITS.line,
  }
}

function reportFinished(state: State, outputPath: string | undefined, terminal: Terminal): number {
  const when = new Date(state.finishedAt ?? 0).toLocaleString('sv-SE')
  report(terminal, `finished already, ${when}: ${countText(state.written)} rows${into(outputPath)}`)
  report(terminal, '--restart does it again')
  return reportFailed(state, terminal)
}

function reportFailed({ failed }: State, terminal: Terminal): number {
  if (failed === 0) return EXIT.ok
  report(terminal, `${countText(failed)} ${failed === 1 ? 'row' : 'rows'} failed; the output says why ("error")`)
  return EXIT.failed
}

function farewell({ written, plan, sent }: State, outputPath: string | undefined): string {
  const ids = Object.values(sent).flatMap(({ batchId }) => batchId ?? [])
  const last = plan.parts.findLast((_part, at) => sent[at]?.batchId !== undefined)
  const goesOn = ids.length > 0 ? `the server goes on with ${ids.join(', ')}` : 'nothing was sent yet'
  const rest = last && last.row + last.rows < plan.total ? ', the rest is not sent yet' : ''
  const how =
    outputPath === undefined ? 'Its results are kept there' : 'The same command goes on where this one stopped'
  return `stopped after ${countText(written)} of ${countText(plan.total)} rows; ${goesOn}${rest}. ${how}`
}

function into(outputPath: string | undefined): string {
  return outputPath === undefined ? '' : ` → ${outputPath}`
}
