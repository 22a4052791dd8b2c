// The run of one batch, from its file to its end, by whichever api has its job. What is written is finished: a part is
// there or is not, and whoever takes over goes on behind the last one.
import { AppError } from '../errors.ts'
import { type BatchRecord, readBatch, writeProgress } from '../records/batches.ts'
import { keyIdOf, type OwnedId } from '../records/ids.ts'
import { closeBatch, type FinishOptions, finishBatch } from './finish.ts'
import { startBlock, type StartedBlock } from './block-run.ts'
import { type Block, type BlockRow, blocksOf } from './blocks.ts'
import type { Endpoints } from './endpoints.ts'
import { ChunkSender, type ChunkSenderOptions } from './chunk-sender.ts'
import { BEGINNING, type InputLine, readLines } from './input/jsonl.ts'
import { makePart, NOTHING, type PartHeader, putPart, readLastPart, type Totals } from './output/parts.ts'
import { RetryStorage } from './retry-storage.ts'
import { isProblem, readRequest } from './input/input-line.ts'
import { type OutputRow, RowWriter } from './output/output-row.ts'
import type { FileStore } from './storage/file-store.ts'
import type { EventLoopTurns } from './event-loop-turns.ts'
import { type InputLimits, validate } from './input/validate.ts'
import { uploadName } from './files.ts'
import { every } from '../async.ts'

export interface BatchRunOptions extends FinishOptions {
  store: FileStore
  sender: ChunkSenderOptions
  endpoints: Endpoints
  limits: InputLimits
  /** Of all batches of this process. */
  turns: EventLoopTurns
  onRows: (answered: number, failed: number) => void
}

/** What a run must know of the job that it has. */
export interface JobLock {
  /** Whether the job is still this run's. @throws when Redis is away. */
  isHeld: () => Promise<boolean>
  /** Aborts when this process is about to stop. */
  closing: AbortSignal
}

/** `handed_back`: this process stops. `lost`: another api has the job. */
export type BatchRunEnd = 'ended' | 'handed_back' | 'lost'

class RunAbortedError extends Error {
  readonly end: BatchRunEnd

  constructor(end: BatchRunEnd) {
    super(end)
    this.end = end
  }
}

const WATCH_MS = 500
/** Of short texts. */
const CHUNKS_A_BLOCK = 4

/** Runs the batch to its end, or as far as it gets. */
export async function runBatch(options: BatchRunOptions, id: OwnedId, hold: JobLock): Promise<BatchRunEnd> {
  const record = await readBatch(options.redis, id)
  if (!record || record.ended_at !== undefined) return 'ended'
  const run = new BatchRun(options, id, record, hold)
  return run.run()
}

class BatchRun {
  readonly #options: BatchRunOptions
  readonly #id: OwnedId
  readonly #batch: string
  readonly #record: BatchRecord
  readonly #lock: JobLock
  readonly #abort = new AbortController()
  readonly #over = new AbortController()
  readonly #sender: ChunkSender
  readonly #retry: RetryStorage
  readonly #writer: RowWriter
  /** Set once: rows that are not answered by then get it as their error. */
  #stopped: { end: 'cancelled' | 'expired'; code: string; message: string } | undefined
  #part = 0
  #totals: Totals = NOTHING

  constructor(options: BatchRunOptions, id: OwnedId, record: BatchRecord, hold: JobLock) {
    this.#options = options
    this.#id = id
    this.#batch = keyIdOf(id)
    this.#record = record
    this.#lock = hold
    this.#sender = new ChunkSender(options.sender, this.#abort.signal)
    this.#retry = new RetryStorage(id.uuid, options.logger, this.#abort.signal)
    this.#writer = new RowWriter(id.uuid)
  }

  async run(): Promise<BatchRunEnd> {
    const onClosing = () => this.#abort.abort(new RunAbortedError('handed_back'))
    this.#lock.closing.addEventListener('abort', onClosing, { once: true })
    if (this.#lock.closing.aborted) onClosing()
    const watch = every(
      WATCH_MS,
      this.#over.signal,
      () => this.#checkState(),
      () => undefined,
    )
    try {
      await this.#run()
      return 'ended'
    } catch (error) {
      this.#abort.abort(error)
      if (error instanceof RunAbortedError) return error.end
      throw error
    } finally {
      this.#over.abort()
      this.#lock.closing.removeEventListener('abort', onClosing)
      await watch
    }
  }

  async #run(): Promise<void> {
    this.#checkDeadline()
    if (this.#record.cancelling_at !== undefined) this.#stop('cancelled')
    if (this.#record.stage === 'validating' && !(await this.#validate())) return
    const { count, header } = await readLastPart(this.#options.store, this.#batch)
    this.#part = count
    this.#totals = header?.totals ?? NOTHING
    await this.#runRows(header)
    const { end = 'completed' } = this.#stopped ?? {}
    await finishBatch(this.#options, this.#id, this.#record, end, this.#totals, this.#retry)
  }

  /** False when the input file is refused; the batch has ended then. */
  async #validate(): Promise<boolean> {
    const content = await this.#input(0)
    const problem = { code: 'file_not_found', message: 'The input file is gone.', param: 'input_file_id', line: null }
    const { requests, problems } = content
      ? await validate(this.#unlessHalted(content), this.#record.endpoint, this.#options.limits, this.#options.turns)
      : { requests: 0, problems: [problem] }
    const now = Date.now()
    if (problems.length > 0) {
      const fields = { end: 'failed' as const, ended_at: now, errors: JSON.stringify(problems) }
      await closeBatch(this.#options, this.#id, this.#record, fields, this.#retry)
      return false
    }
    await this.#retry.command(() =>
      writeProgress(this.#options.redis, this.#id, { stage: 'in_progress', in_progress_at: now, total: requests }),
    )
    return true
  }

  /** Two things at once: blocks go into the lane as there is room, and are written in order as they are answered. */
  async #runRows(last: PartHeader | undefined): Promise<void> {
    const { endpoints, limits, sender, turns } = this.#options
    const from = last?.next ?? BEGINNING
    const content = await this.#input(from.offset)
    if (!content) throw new Error('the input file is gone')
    const lines = readLines(this.#unlessHalted(content), limits.maxLineBytes, from)
    const blocks = blocksOf(lines, last ? last.first + last.rows : 0, (line) => this.#read(line), turns)
    const blockOptions = {
      batch: this.#batch,
      endpoints,
      sender: this.#sender,
      writer: this.#writer,
      turns,
      stopped: () => this.#stopped,
      aborted: this.#abort.signal,
    }
    let written: Promise<void> = Promise.resolve()
    const unwritten: Promise<void>[] = []
    for await (const block of blocks) {
      const started = await startBlock(blockOptions, block)
      written = written.then(() => this.#write(block, started))
      written.catch((error: unknown) => this.#abort.abort(error))
      unwritten.push(written)
      // What is answered but cannot be written, since a chunk before it takes long, must not fill the memory.
      while (unwritten.length > 2 + (2 * sender.width()) / CHUNKS_A_BLOCK) await unwritten.shift()
      this.#abort.signal.throwIfAborted()
    }
    await written
  }

  #read(line: InputLine): BlockRow {
    const request = readRequest(line, this.#record.endpoint)
    if (isProblem(request)) throw new Error(`line ${line.number} of the input file was valid and is not any more`)
    try {
      return { customId: request.customId, asked: this.#options.endpoints.read(this.#record.endpoint, request.body) }
    } catch (error) {
      if (error instanceof AppError) return { customId: request.customId, asked: error }
      throw error
    }
  }

  async #write({ first, next }: Block, started: StartedBlock): Promise<void> {
    const rows: OutputRow[] = await started.rows
    await this.#options.turns.wait()
    const part = makePart(first, next, rows, this.#totals)
    const mine = await this.#retry.command(() => this.#lock.isHeld())
    if (!mine || !(await this.#retry.put(() => putPart(this.#options.store, this.#batch, this.#part, part)))) {
      throw new RunAbortedError('lost')
    }
    this.#part += 1
    this.#totals = part.header.totals
    const { completed, failed } = part.header.totals
    this.#options.onRows(part.header.completed, part.header.failed)
    await this.#retry.command(() => writeProgress(this.#options.redis, this.#id, { completed, failed }))
    this.#sender.removeJobs(started.jobs)
  }

  async #input(offset: number): Promise<AsyncIterable<Buffer> | undefined> {
    const name = uploadName({ owner: this.#id.owner, uuid: this.#record.input })
    const stored = await this.#options.store.get(name, { start: offset, end: Number.MAX_SAFE_INTEGER })
    return stored?.content
  }

  async *#unlessHalted(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of content) {
      this.#abort.signal.throwIfAborted()
      yield piece
    }
  }

  /** Regularly: whose the job is, whether the batch was cancelled, and what time it is. */
  async #checkState(): Promise<void> {
    this.#checkDeadline()
    if (!(await this.#lock.isHeld())) return this.#abort.abort(new RunAbortedError('lost'))
    const record = await readBatch(this.#options.redis, this.#id)
    if (!record) this.#abort.abort(new RunAbortedError('ended'))
    else if (record.cancelling_at !== undefined) this.#stop('cancelled')
  }

  #checkDeadline(): void {
    if (Date.now() > this.#record.expires_at) this.#stop('expired')
  }

  #stop(end: 'cancelled' | 'expired'): void {
    if (this.#stopped) return
    const why = end === 'cancelled' ? 'the batch was cancelled' : 'the completion window of the batch ended'
    this.#stopped = { end, code: `batch_${end}`, message: `This request was not answered before ${why}.` }
    this.#sender.cancel()
  }
}
