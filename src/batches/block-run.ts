// One block of a batch: its rows go to the lane as chunks, and come back as lines of the output.
import { AppError, conflict } from '../errors.ts'
import type { Row } from '../queue/job.ts'
import { chunkJobId } from '../queue/job-ids.ts'
import type { JobRef } from '../queue/job-state.ts'
import type { Block } from './blocks.ts'
import { type Chunk, chunksOf, type PendingRow } from './chunks.ts'
import type { ParsedRequest, Endpoints, RowTarget } from './endpoints.ts'
import { type ChunkEnd, jobOf, type ChunkSender } from './chunk-sender.ts'
import type { OutputRow, RowWriter } from './output/output-row.ts'
import { ROWS_A_TURN, type EventLoopTurns } from './event-loop-turns.ts'
import { retry } from '../async.ts'

export interface BlockRunOptions {
  /** OWNER_UUID. */
  batch: string
  endpoints: Endpoints
  sender: ChunkSender
  writer: RowWriter
  turns: EventLoopTurns
  /** Why the batch was stopped: the code and message of the rows that were not answered. */
  stopped: () => { code: string; message: string } | undefined
  aborted: AbortSignal
}

export interface StartedBlock {
  /** One line a row, in order. */
  rows: Promise<OutputRow[]>
  /** To be forgotten when the rows are written. */
  jobs: JobRef[]
}

const RETRY_MS = 500

/** Resolves when the whole block is in the lane, or answered. @throws the halt's reason. */
export async function startBlock(options: BlockRunOptions, block: Block): Promise<StartedBlock> {
  const { batch, sender, turns } = options
  const rows = new BlockRows(options, block)
  const chunks = chunksOf(await rows.wanted())
  const jobs: JobRef[] = []
  const settled: Promise<void>[] = []
  for (const [index, chunk] of chunks.entries()) {
    await sender.waitForSlot()
    await turns.wait()
    const { target, truncate, items } = chunk
    const id = chunkJobId(batch, block.first, index, [target, truncate, items])
    jobs.push(jobOf(id, chunk))
    const end = sender.send(id, chunk).then((ended) => rows.settle(chunk, ended))
    end.catch(() => undefined) // thrown to whoever waits for the rows
    settled.push(end)
  }
  const lines = Promise.all(settled).then(() => rows.lines)
  lines.catch(() => undefined) // blocks before this one may have to be written first
  return { rows: lines, jobs }
}

class BlockRows {
  readonly #options: BlockRunOptions
  readonly #block: Block
  readonly lines: OutputRow[]

  constructor(options: BlockRunOptions, block: Block) {
    this.#options = options
    this.#block = block
    this.lines = new Array<OutputRow>(block.rows.length)
  }

  /** What has to be computed; every other row has its line after this. */
  async wanted(): Promise<PendingRow[]> {
    const targets = new Map<string | undefined, RowTarget | AppError>()
    const wanted: PendingRow[] = []
    for (const [place, { asked }] of this.#block.rows.entries()) {
      if (this.#options.stopped()) this.#leave(place)
      else if (asked instanceof AppError) this.#refuse(place, asked)
      else {
        const target = targets.get(asked.model) ?? (await this.#target(asked))
        targets.set(asked.model, target)
        if (target instanceof AppError) this.#refuse(place, target)
        else wanted.push({ place, target, truncate: asked.truncate, items: asked.items })
      }
    }
    return wanted
  }

  async settle(chunk: Chunk, end: ChunkEnd): Promise<void> {
    if (end.state === 'withdrawn') return chunk.rows.forEach(({ place }) => this.#leave(place))
    const texts = chunk.items.length
    if (end.state === 'failed' || (end.result.outcome === 'done' && end.result.rows.length !== texts)) {
      return this.#failAll(chunk, new AppError('Backend', 424, 'the workers could not run this request'))
    }
    const { outcome, revision, rows } = end.result
    if (outcome !== 'done')
      return this.#failAll(chunk, conflict('no worker serves this revision of the model any more'))
    const model = await this.#resolve(() => this.#options.endpoints.labels(chunk.target.model, revision))
    if (model instanceof AppError) return this.#failAll(chunk, model)
    let from = 0
    for (const [index, { place, texts: count }] of chunk.rows.entries()) {
      if (index % ROWS_A_TURN === 0) await this.#options.turns.wait()
      this.#answer(place, rows.slice(from, from + count), model)
      from += count
    }
  }

  #answer(place: number, rows: Row[], model: Parameters<ParsedRequest['answer']>[1]): void {
    const { customId, asked } = this.#row(place)
    try {
      const body = (asked as ParsedRequest).answer(rows, model)
      this.lines[place] = this.#options.writer.answered(this.#block.first + place, customId, body)
    } catch (error) {
      this.#refuse(place, error instanceof AppError ? error : new AppError('Backend', 500, 'internal error'))
    }
  }

  #failAll({ rows }: Chunk, error: AppError): void {
    for (const { place } of rows) this.#refuse(place, error)
  }

  #refuse(place: number, error: AppError): void {
    this.lines[place] = this.#options.writer.refused(this.#block.first + place, this.#row(place).customId, error)
  }

  #leave(place: number): void {
    const { code, message } = this.#options.stopped() ?? { code: 'batch_cancelled', message: '' }
    const { customId } = this.#row(place)
    this.lines[place] = this.#options.writer.unanswered(this.#block.first + place, customId, code, message)
  }

  #row(place: number) {
    return this.#block.rows[place] as Block['rows'][number]
  }

  #target({ model }: ParsedRequest): Promise<RowTarget | AppError> {
    return this.#resolve(() => this.#options.endpoints.target(model))
  }

  /** Retries what fails without being an error of the row: Redis is away, or no worker has started yet. */
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
