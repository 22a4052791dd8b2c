// Runs one block of a batch: sends its rows as chunks and converts the results to output rows.

import { retry } from '../async.ts'
import { AppError, conflict } from '../errors.ts'
import { isFailed, type Row } from '../queue/job.ts'
import { chunkJobId } from '../queue/job-ids.ts'
import type { JobRef } from '../queue/job-state.ts'
import type { ModelRecord } from '../records/models.ts'
import type { Block } from './blocks.ts'
import { type ChunkEnd, type ChunkSender, jobOf } from './chunk-sender.ts'
import { type Chunk, chunksOf, type PendingRow } from './chunks.ts'
import type { Endpoints, ParsedRequest, RowTarget } from './endpoints.ts'
import { type EventLoopTurns, ROWS_PER_TURN } from './event-loop-turns.ts'
import type { OutputRow, RowWriter } from './output/output-row.ts'

export interface BlockRunOptions {
  /** OWNER_UUID. */
  batch: string
  endpoints: Endpoints
  sender: ChunkSender
  writer: RowWriter
  turns: EventLoopTurns
  /** Code and message of unanswered rows once the batch is stopped; undefined before. */
  stopped: () => { code: string; message: string } | undefined
  aborted: AbortSignal
}

export interface StartedBlock {
  /** One output row for each row of the block, in order. */
  rows: Promise<OutputRow[]>
  /** The jobs of the chunks; they are removed when the rows are written. */
  jobs: JobRef[]
}

const RETRY_MS = 500

/** Resolves when every chunk of the block is sent or answered. @throws the abort's reason. */
export async function startBlock(options: BlockRunOptions, block: Block): Promise<StartedBlock> {
  const { batch, endpoints, sender, turns } = options
  const rows = new BlockRows(options, block)
  const chunks = chunksOf(await rows.pendingRows(), (model) => endpoints.chunkTokens(model))
  const jobs: JobRef[] = []
  const settled: Promise<void>[] = []
  for (const [index, chunk] of chunks.entries()) {
    await sender.waitForSlot()
    await turns.wait()
    const { target, truncate, items } = chunk
    const id = chunkJobId(batch, block.first, index, [target, truncate, items])
    jobs.push(jobOf(id, chunk))
    const end = sender
      .send(id, chunk, endpoints.cost(target.model, chunk.tokens))
      .then((ended) => rows.settle(chunk, ended))
    end.catch(() => undefined) // `lines` rejects with this error
    settled.push(end)
  }
  const lines = Promise.all(settled).then(() => rows.lines)
  lines.catch(() => undefined) // awaited only after the blocks before this one are written
  return { rows: lines, jobs }
}

class BlockRows {
  readonly #options: BlockRunOptions
  readonly #block: Block
  /** The rows of texts whose row of the batch is not complete, by position. */
  readonly #parts = new Map<number, { rows: Row[]; missing: number; model: ModelRecord }>()
  readonly lines: OutputRow[]

  constructor(options: BlockRunOptions, block: Block) {
    this.#options = options
    this.#block = block
    this.lines = new Array<OutputRow>(block.rows.length)
  }

  /** Returns the rows that must be computed; all others have their output row after this. */
  async pendingRows(): Promise<PendingRow[]> {
    const targets = new Map<string | undefined, RowTarget | AppError>()
    const pending: PendingRow[] = []
    for (const [position, { request, tokens }] of this.#block.rows.entries()) {
      if (this.#options.stopped()) this.#setUnanswered(position)
      else if (request instanceof AppError) this.#refuse(position, request)
      else {
        const target = targets.get(request.model) ?? (await this.#target(request))
        targets.set(request.model, target)
        if (target instanceof AppError) this.#refuse(position, target)
        else pending.push({ position, target, truncate: request.truncate, items: request.items, tokens })
      }
    }
    return pending
  }

  async settle(chunk: Chunk, end: ChunkEnd): Promise<void> {
    if (end.state === 'withdrawn') return chunk.rows.forEach(({ position }) => this.#setUnanswered(position))
    const texts = chunk.items.length
    if (end.state === 'failed' && end.newer) return this.#failAll(chunk, end.newer)
    if (end.state === 'failed' || (end.result.rows.length > 0 && end.result.rows.length !== texts)) {
      return this.#failAll(chunk, new AppError('Backend', 424, 'the workers could not run this request'))
    }
    const { outcome, revision, rows } = end.result
    if (outcome === 'canceled' && rows.length === 0)
      return chunk.rows.forEach(({ position }) => this.#setUnanswered(position))
    if (outcome !== 'done' && outcome !== 'canceled')
      return this.#failAll(chunk, conflict('no worker serves this revision of the model any more'))
    const model = await this.#resolve(() => this.#options.endpoints.labels(chunk.target.model, revision))
    if (model instanceof AppError) return this.#failAll(chunk, model)
    let first = 0
    for (const [index, { position, from, texts: count }] of chunk.rows.entries()) {
      if (index % ROWS_PER_TURN === 0) await this.#options.turns.wait()
      this.#put(position, from, rows.slice(first, first + count), model)
      first += count
    }
  }

  /** Sets the rows of some texts; the row of the batch is answered when the last of its texts has a row. */
  #put(position: number, from: number, rows: Row[], model: ModelRecord): void {
    if (this.lines[position] !== undefined) return
    const { request } = this.#row(position)
    const texts = (request as ParsedRequest).items.length
    if (rows.length === texts) return this.#answer(position, rows, model)
    const part = this.#parts.get(position) ?? { rows: new Array<Row>(texts), missing: texts, model }
    this.#parts.set(position, part)
    rows.forEach((row, index) => (part.rows[from + index] = row))
    part.missing -= rows.length
    if (part.missing > 0) return
    this.#parts.delete(position)
    // During an update, chunks of one row may be computed by two revisions, whose labels may differ.
    if (part.model.revision === model.revision) this.#answer(position, part.rows, model)
    else this.#refuse(position, conflict('the model was updated while this request was computed'))
  }

  #answer(position: number, rows: Row[], model: ModelRecord): void {
    if (rows.some((row) => isFailed(row) && row.error.code === 'Canceled')) return this.#setUnanswered(position)
    const { customId, request } = this.#row(position)
    try {
      const body = (request as ParsedRequest).answer(rows, model)
      this.lines[position] = this.#options.writer.answered(this.#block.first + position, customId, body)
    } catch (error) {
      this.#refuse(position, error instanceof AppError ? error : new AppError('Backend', 500, 'internal error'))
    }
  }

  #failAll({ rows }: Chunk, error: AppError): void {
    for (const { position } of rows) this.#refuse(position, error)
  }

  #refuse(position: number, error: AppError): void {
    const { customId } = this.#row(position)
    this.lines[position] = this.#options.writer.refused(this.#block.first + position, customId, error)
  }

  #setUnanswered(position: number): void {
    const { code, message } = this.#options.stopped() ?? { code: 'batch_cancelled', message: '' }
    const { customId } = this.#row(position)
    this.lines[position] = this.#options.writer.unanswered(this.#block.first + position, customId, code, message)
  }

  #row(position: number) {
    return this.#block.rows[position] as Block['rows'][number]
  }

  #target({ model }: ParsedRequest): Promise<RowTarget | AppError> {
    return this.#resolve(() => this.#options.endpoints.target(model))
  }

  /** Retries after errors that are not the row's: Redis is unreachable, or no worker has started yet. */
  async #resolve<T>(task: () => Promise<T>): Promise<T | AppError> {
    try {
      return await retry(task, {
        ms: RETRY_MS,
        signal: this.#options.aborted,
        onError: (error) => {
          if (error instanceof AppError) throw error
          if (this.#options.stopped()) throw conflict('the batch was stopped')
        },
      })
    } catch (error) {
      this.#options.aborted.throwIfAborted()
      if (error instanceof AppError) return error
      throw error
    }
  }
}
