// Runs a plan: uploads its parts and writes their results.
import { removeFilesOfBatch } from '../../client/calls/batch-files.ts'
import { isFailedLine } from '../../client/calls/batch-result.ts'
import type { Inferq } from '../../client/client.ts'
import type { BatchLine } from '../../client/types.ts'
import { CommandError } from '../failure.ts'
import { countOf } from '../format.ts'
import type { Progress } from '../progress.ts'
import type { Output } from './files/output.ts'
import type { RunningState, SentPart, StateFile } from './files/state.ts'
import { BatchRejectedError, follow } from './follow.ts'
import { type InputRow, type Layout, rowsOf } from './input/input-rows.ts'
import { checkUnchanged, type Source } from './input/source.ts'
import type { PlanPart } from './plan.ts'
import { type Retry, retryWhileUnavailable } from './reconnect.ts'
import type { Result, ResultWriter } from './result-writer.ts'
import { isNotFound, uploadPart } from './upload-part.ts'
import { watchBatch } from './watch.ts'

export interface PlanRunOptions {
  inferq: Inferq
  source: Source
  layout: Layout
  filename: string
  state: RunningState
  stateFile: StateFile
  output: Output
  writer: ResultWriter
  progress: Progress
  /** Receives lines for the user. */
  note: (line: string) => void
  signal: AbortSignal
  /** Keeps the files on the server. */
  keep: boolean
  /** When the batches end at the latest. */
  completeBy: Date | undefined
  /** Called when the server has accepted a batch. @returns whether it has changed the state. */
  onAccepted: () => Promise<boolean>
}

const SAVE_INTERVAL_MS = 1_000

export class PlanRun {
  readonly #options: PlanRunOptions
  /** Uploads by part number; each resolves with the id of its batch. */
  readonly #uploads = new Map<number, Promise<string>>()
  readonly #retry: Retry
  /** Aborts when the run ends or fails. */
  readonly #ended = new AbortController()
  readonly #signal: AbortSignal
  #savedAt = 0
  /** Batches of an earlier run. */
  readonly #resumed: Set<string>
  /** The writes of the state run one after the other. */
  #saving: Promise<void> = Promise.resolve()

  constructor(options: PlanRunOptions) {
    this.#options = options
    this.#resumed = new Set(Object.values(options.state.sent).flatMap(({ batchId }) => batchId ?? []))
    this.#signal = AbortSignal.any([options.signal, this.#ended.signal])
    this.#retry = retryWhileUnavailable({ signal: this.#signal, note: options.note })
  }

  /** Resolves when every row is written. @throws what ends the run early; the state is saved before. */
  async finish(): Promise<void> {
    const { state, source } = this.#options
    try {
      await this.#finishParts()
      await checkUnchanged(source, state.plan.digest)
    } catch (error) {
      await this.#end()
      // The first error is the one to report.
      await this.#saveState().catch(() => undefined)
      throw error
    }
    await this.#end()
    await this.#saveState()
    if (state.written !== state.plan.total) throw new Error(`${state.written} of ${state.plan.total} rows are written`)
  }

  async #finishParts(): Promise<void> {
    const { state, output, writer } = this.#options
    if (state.written === 0) await output.write(writer.header)
    for (const [at, part] of state.plan.parts.entries()) {
      if (state.written < part.row + part.rows) await this.#finishPart(at, part)
      const sent = state.sent[at]
      if (!sent) continue
      // The server's copy is removed only when the rows are safe here.
      await this.#saveState()
      await this.#forget(sent)
      Reflect.deleteProperty(state.sent, at)
    }
    for (const sent of state.discarded ?? []) await this.#forget(sent)
    delete state.discarded
  }

  async #end(): Promise<void> {
    this.#ended.abort()
    await Promise.allSettled(this.#uploads.values())
  }

  async #forget(sent: SentPart): Promise<void> {
    const { inferq, keep } = this.#options
    if (!keep) await removeFilesOfBatch(inferq, sent, this.#signal)
  }

  async #finishPart(at: number, part: PlanPart, isRetry = false): Promise<void> {
    try {
      this.#options.progress.setReason(`uploading ${countOf(part.rows, 'row')}`)
      const batchId = await this.#upload(at)
      this.#options.progress.setReason(undefined)
      if (await this.#options.onAccepted()) await this.#saveState()
      // The next part is uploaded ahead, so that the workers stay busy between two batches.
      if (at + 1 < this.#options.state.plan.parts.length) this.#upload(at + 1).catch(() => undefined)
      await this.#writeResults(part, batchId)
    } catch (error) {
      const { state, note } = this.#options
      const isLost = isNotFound(error)
      if (isLost || error instanceof BatchRejectedError) {
        this.#uploads.delete(at)
        const sent = state.sent[at]
        if (sent) await this.#forget(sent)
        Reflect.deleteProperty(state.sent, at)
      }
      if (!isLost || isRetry) throw error
      note('the batch no longer exists on the server; uploading its rows again')
      await this.#finishPart(at, part, true)
    }
  }

  #upload(at: number): Promise<string> {
    const { state, ...options } = this.#options
    const part = state.plan.parts[at]
    if (!part) throw new Error(`no such part: ${at}`)
    let upload = this.#uploads.get(at)
    if (!upload) {
      const saveSent = async (number: number, sent: SentPart) => {
        state.sent[number] = sent
        await this.#saveState()
      }
      upload = this.#retry(() => {
        return uploadPart(at, part, state.sent[at], { ...options, signal: this.#signal, saveSent })
      })
      this.#uploads.set(at, upload)
    }
    return upload
  }

  async #writeResults(part: PlanPart, batchId: string): Promise<void> {
    const { inferq, layout, state, progress } = this.#options
    const watching = new AbortController()
    const { model } = layout.options
    const own = Object.values(state.sent).flatMap(({ batchId: id }) => id ?? [])
    const signal = AbortSignal.any([this.#signal, watching.signal])
    const watched = { batchId, before: part.row, isResumed: this.#resumed.has(batchId), own, model }
    const { done } = await watchBatch({ inferq, ...watched, progress, signal })
    try {
      await this.#copyResults(part, batchId)
    } finally {
      watching.abort()
      await done
      progress.setReason(undefined)
    }
  }

  async #copyResults(part: PlanPart, batchId: string): Promise<void> {
    const { inferq, source, layout, state, output, writer, progress } = this.#options
    const rows = rowsOf(source, layout, part, part.end)
    const skip = state.written - part.row
    for (let skipped = 0; skipped < skip; skipped += 1) await rows.next()
    const followOptions = { inferq, batchId, rows: part.rows, skip, signal: this.#signal, retry: this.#retry }
    for await (const lines of follow(followOptions)) {
      const results: Result[] = []
      for (const line of lines) results.push({ line, row: await nextRow(rows, line) })
      await output.write(writer.format(results))
      state.written += lines.length
      state.bytes = output.bytes
      state.failed += lines.filter(isFailedLine).length
      progress.set(state.written)
      if (Date.now() - this.#savedAt > SAVE_INTERVAL_MS) await this.#saveState()
    }
  }

  #saveState(): Promise<void> {
    this.#savedAt = Date.now()
    this.#saving = this.#saving.then(() => this.#write())
    return this.#saving
  }

  /** The rows that the state counts are on the disk before it. */
  async #write(): Promise<void> {
    const { state, stateFile, output } = this.#options
    const saved = structuredClone(state)
    await output.sync()
    await stateFile.write(saved)
  }
}

/** The next row of the input. @throws CommandError when the line is the result of another row. */
async function nextRow(rows: AsyncGenerator<InputRow>, { custom_id: id }: BatchLine): Promise<InputRow> {
  const { value, done } = await rows.next()
  if (!done && value.request.custom_id === id) return value
  const expected = done ? 'the end' : `"${value.request.custom_id}"`
  throw new CommandError(
    `the results do not match the input: expected ${expected}, received "${id}"; was the input changed?`,
  )
}
