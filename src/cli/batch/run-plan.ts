// Works a plan off: parts go to the server one ahead of the one whose results are being written, and what is written is
// kept, so that the same command can go on.
import type { Inferq } from '../../client/client.ts'
import type { BatchLine } from '../../client/types.ts'
import { CommandError } from '../failure.ts'
import type { Progress } from '../progress.ts'
import { BatchRejectedError, follow } from './follow.ts'
import type { Output } from './output.ts'
import { Patience } from './reconnect.ts'
import type { PlanPart } from './plan.ts'
import { isFailedRow, type Result, type ResultWriter } from './result-writer.ts'
import { type Layout, type InputRow, rowsOf } from './input-rows.ts'
import { isNotFound, uploadPart } from './upload-part.ts'
import type { Source } from './source.ts'
import type { SentPart, State, StateFile } from './state.ts'

export interface PlanRunOptions {
  inferq: Inferq
  source: Source
  layout: Layout
  filename: string
  state: State
  stateFile: StateFile
  output: Output
  writer: ResultWriter
  progress: Progress
  signal: AbortSignal
}

const KEEP_EVERY_MS = 1_000

export class PlanRun {
  readonly #options: PlanRunOptions
  /** Parts that are on their way to the server, by number. */
  readonly #sending = new Map<number, Promise<string>>()
  readonly #patience: Patience
  /** Aborts when the run ends, whatever ends it. */
  readonly #ending = new AbortController()
  readonly #signal: AbortSignal
  #keptAt = 0
  /** Writes of the state, one after the other. */
  #keeping: Promise<void> = Promise.resolve()

  constructor(options: PlanRunOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#ending.signal])
    this.#patience = new Patience({ signal: this.#signal, note: (line) => options.progress.note(line) })
  }

  /** Resolves when every row is written. @throws what stops it; the state is kept then. */
  async finish(): Promise<void> {
    const { state, output, writer } = this.#options
    try {
      if (state.written === 0) await output.write(writer.header)
      for (const [at, part] of state.plan.parts.entries()) {
        if (state.written < part.row + part.rows) await this.#finishPart(at, part)
        Reflect.deleteProperty(state.sent, at)
      }
      state.finishedAt = new Date().toISOString()
    } finally {
      this.#ending.abort()
      await Promise.allSettled(this.#sending.values())
      await this.#keep()
    }
  }

  async #finishPart(at: number, part: PlanPart, again = false): Promise<void> {
    try {
      const batchId = await this.#send(at)
      // So that the workers have something to do between two batches.
      if (at + 1 < this.#options.state.plan.parts.length) this.#send(at + 1).catch(() => undefined)
      await this.#write(part, batchId)
    } catch (error) {
      const { state, progress } = this.#options
      const lost = isNotFound(error)
      if (lost || error instanceof BatchRejectedError) {
        this.#sending.delete(at)
        Reflect.deleteProperty(state.sent, at)
      }
      if (!lost || again) throw error
      progress.note('the server does not know the batch any more; sending its rows again')
      await this.#finishPart(at, part, true)
    }
  }

  #send(at: number): Promise<string> {
    const { state, ...options } = this.#options
    const part = state.plan.parts[at]
    if (!part) throw new Error(`there is no part ${at}`)
    let sending = this.#sending.get(at)
    if (!sending) {
      const keep = async (number: number, sent: SentPart) => {
        state.sent[number] = sent
        await this.#keep()
      }
      sending = this.#persistently(() => {
        return uploadPart(at, part, state.sent[at], { ...options, signal: this.#signal, keep })
      })
      this.#sending.set(at, sending)
    }
    return sending
  }

  async #persistently<T>(task: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await task()
      } catch (error) {
        await this.#patience.afterFailure(error)
      }
    }
  }

  async #write(part: PlanPart, batchId: string): Promise<void> {
    const { inferq, source, layout, state, output, writer, progress } = this.#options
    const rows = rowsOf(source, layout, part, part.end)
    const have = state.written - part.row
    for (let skipped = 0; skipped < have; skipped += 1) await rows.next()
    const following = { inferq, batchId, rows: part.rows, have, signal: this.#signal, patience: this.#patience }
    for await (const lines of follow(following)) {
      const results: Result[] = []
      for (const line of lines) results.push({ line, row: await rowOf(rows, line) })
      await output.write(writer.format(results))
      state.written += lines.length
      state.bytes = output.bytes
      state.failed += lines.filter(isFailedRow).length
      progress.set(state.written)
      if (Date.now() - this.#keptAt > KEEP_EVERY_MS) await this.#keep()
    }
  }

  #keep(): Promise<void> {
    const { state, stateFile } = this.#options
    this.#keptAt = Date.now()
    this.#keeping = this.#keeping.then(() => stateFile.write(state))
    return this.#keeping
  }
}

/** The row that a line answers. @throws Failure when it is another one: then the results belong to another input. */
async function rowOf(rows: AsyncGenerator<InputRow>, { custom_id: id }: BatchLine): Promise<InputRow> {
  const { value, done } = await rows.next()
  if (!done && value.request.custom_id === id) return value
  const expected = done ? 'the end' : `"${value.request.custom_id}"`
  throw new CommandError(
    `the results do not fit the input: "${id}" where ${expected} should be. Was the input changed?`,
  )
}
