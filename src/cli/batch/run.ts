// The steps of a run that are the same for a file and for a stream.
import { basename } from 'node:path'
import type { Inferq } from '../../client/client.ts'
import type { ServerInfo } from '../../client/types.ts'
import { CommandError } from '../failure.ts'
import { bytesText } from '../format.ts'
import { showProgress } from '../progress.ts'
import { report, type Terminal } from '../terminal.ts'
import type { Output } from './files/output.ts'
import type { RunningState, StateFile } from './files/state.ts'
import { type BatchFlags, inputOptionsOf, outputDelimiterOf, outputFormatOf } from './flags.ts'
import { type Layout, layoutOf } from './input/input-rows.ts'
import type { Source } from './input/source.ts'
import { type BatchLimits, type Plan, planOf } from './plan.ts'
import { ResultWriter } from './result-writer.ts'
import { PlanRun } from './run-plan.ts'

/** Limits of a server that does not report its own (http-api.md, "Batches"). */
const DEFAULT_LIMITS = { lines: 50_000, bytes: 200 * 1_048_576, line: 1_048_576 }
/** Larger inputs show the progress of planning. */
const LARGE_INPUT_BYTES = 20 * 1_048_576

export interface OpenedInput {
  source: Source
  layout: Layout
  /** Commands of the same run have the same text. */
  how: string
}

export async function openInput(source: Source, flags: BatchFlags, terminal: Terminal): Promise<OpenedInput> {
  const layout = await layoutOf(source, inputOptionsOf(flags))
  for (const note of layout.notes) report(terminal, note)
  const { kind, column, pairColumn, delimiter, options } = layout
  const output = outputFormatOf(flags)
  const how = JSON.stringify({ url: flags.url, kind, column, pairColumn, delimiter, output, ...options })
  return { source, layout, how }
}

/** Validates the whole input and asks the server for its limits; nothing is uploaded or written. */
export async function planInput(
  inferq: Inferq,
  { source, layout }: OpenedInput,
  flags: BatchFlags,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Plan> {
  const info = await inferq.info(signal)
  await checkModel(inferq, layout.options.model, signal)
  const progress =
    source.bytes > LARGE_INPUT_BYTES
      ? showProgress(terminal, { unit: 'read', total: source.bytes, count: bytesText })
      : undefined
  try {
    const plan = await planOf(source, layout, limitsOf(info), signal, progress)
    if (plan.hasMoreNames && outputFormatOf(flags) === 'csv') {
      throw new CommandError(`${source.name} has more than ${plan.names.length} different keys: use a JSONL output`)
    }
    return plan
  } finally {
    progress?.stop()
  }
}

/** Without this check every row would fail after the upload. @throws CommandError that lists the served models. */
async function checkModel(inferq: Inferq, wanted: string | undefined, signal: AbortSignal): Promise<void> {
  if (wanted === undefined) return
  const name = wanted.split('@')[0]?.split('/').at(-1)?.toLowerCase()
  const models = await inferq.models.list(signal)
  const found = models.find(({ id }) => id.toLowerCase() === name)
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

export interface RunPlanOptions {
  inferq: Inferq
  flags: BatchFlags
  input: OpenedInput
  state: RunningState
  stateFile: StateFile
  output: Output
  terminal: Terminal
  signal: AbortSignal
  /** Called when the server has accepted a batch. @returns whether it has changed the state. */
  onAccepted: () => Promise<boolean>
}

/** Uploads the rows and writes all results; closes the output. */
export async function runPlan({ flags, input, terminal, ...options }: RunPlanOptions): Promise<void> {
  const { state, output } = options
  const { source, layout } = input
  const writer = new ResultWriter({
    format: outputFormatOf(flags),
    delimiter: outputDelimiterOf(flags, layout),
    verbatim: layout.kind === 'requests',
    names: state.plan.names,
    topK: flags.topK,
  })
  const progress = showProgress(terminal, { unit: 'rows', total: state.plan.total, done: state.written })
  const filename = flags.input === '-' ? 'stdin.jsonl' : `${basename(flags.input)}.jsonl`
  try {
    const note = (line: string) => report(terminal, line)
    const { keep = false, completeBy } = flags
    const more = { source, layout, filename, writer, progress, note, keep, completeBy }
    await new PlanRun({ ...options, ...more }).finish()
  } catch (error) {
    await output.close().catch(() => undefined)
    throw error
  } finally {
    progress.stop()
  }
  await output.close()
}
