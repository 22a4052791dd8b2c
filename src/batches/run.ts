// The run of one batch, from its file to its end, by whichever api has its job. What is written is finished: a part is
// there or is not, and whoever takes over goes on behind the last one.
import type { Redis } from 'ioredis'
import { AppError, messageOf } from '../errors.ts'
import { every, pause } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { type BatchEnd, type BatchRecord, endBatch, readBatch, writeProgress } from '../records/batches.ts'
import { expireStored } from '../records/expirations.ts'
import { removeFileReader, writeFileRecord } from '../records/files.ts'
import { uuidFromKey } from '../records/idempotency.ts'
import { keyIdOf, type OwnedId } from '../records/owned.ts'
import { startBlock, type StartedBlock } from './block-run.ts'
import { type Block, type BlockRow, blocksOf } from './blocks.ts'
import type { Endpoints } from './endpoint.ts'
import { Lane, type LaneOptions } from './lane.ts'
import { BEGINNING, type Line, linesOf } from './lines.ts'
import {
  makePart,
  NOTHING,
  type PartHeader,
  partsName,
  putPart,
  readLastPart,
  type Section,
  type Totals,
} from './parts.ts'
import { isProblem, readRequest } from './request.ts'
import { type OutputRow, RowWriter } from './rows.ts'
import { type FileStore, StorageFull } from './store.ts'
import { type InputLimits, validate } from './validate.ts'
import { uploadName } from './files.ts'

export interface RunOptions {
  redis: Redis
  store: FileStore
  lane: LaneOptions
  endpoints: Endpoints
  limits: InputLimits
  /** Milliseconds that a batch is kept after its end. */
  batchTtl: number
  logger: Logger
  /** A batch has ended: called once, unless the process dies at that moment. */
  onEnd: (id: OwnedId) => void
  onRows: (answered: number, failed: number) => void
}

/** What a run must know of the job that it has. */
export interface Hold {
  /** Whether the job is still this run's. @throws when Redis is away. */
  isMine: () => Promise<boolean>
  /** Aborts when this process is about to stop. */
  closing: AbortSignal
}

/** `handed_back`: this process stops. `lost`: another api has the job. */
export type RunEnd = 'ended' | 'handed_back' | 'lost'

class Halted extends Error {
  readonly end: RunEnd

  constructor(end: RunEnd) {
    super(end)
    this.end = end
  }
}

const WATCH_MS = 500
const AGAIN_MS = 500
const FULL_AGAIN_MS = 5_000
/** Of short texts. */
const CHUNKS_A_BLOCK = 16

/** Runs the batch to its end, or as far as it gets. */
export async function runBatch(options: RunOptions, id: OwnedId, hold: Hold): Promise<RunEnd> {
  const record = await readBatch(options.redis, id)
  if (!record || record.ended_at !== undefined) return 'ended'
  const run = new BatchRun(options, id, record, hold)
  return run.run()
}

/** Ends a batch that cannot be run as failed; the rows that are written can still be read. */
export async function giveUp({ redis, batchTtl, onEnd }: RunOptions, id: OwnedId): Promise<RunEnd> {
  const problem = { code: 'internal_error', message: 'This batch could not be run.', param: null, line: null }
  const fields = { end: 'failed' as const, ended_at: Date.now(), errors: JSON.stringify([problem]) }
  if (await endBatch(redis, id, fields, batchTtl)) onEnd(id)
  return 'ended'
}

class BatchRun {
  readonly #options: RunOptions
  readonly #id: OwnedId
  readonly #batch: string
  readonly #record: BatchRecord
  readonly #hold: Hold
  readonly #halt = new AbortController()
  readonly #over = new AbortController()
  readonly #lane: Lane
  readonly #writer: RowWriter
  /** Set once: rows that are not answered by then get it as their error. */
  #stopped: { end: BatchEnd; code: string; message: string } | undefined
  #part = 0
  #totals: Totals = NOTHING

  constructor(options: RunOptions, id: OwnedId, record: BatchRecord, hold: Hold) {
    this.#options = options
    this.#id = id
    this.#batch = keyIdOf(id)
    this.#record = record
    this.#hold = hold
    this.#lane = new Lane(options.lane, this.#halt.signal)
    this.#writer = new RowWriter(id.uuid)
  }

  async run(): Promise<RunEnd> {
    const onClosing = () => this.#halt.abort(new Halted('handed_back'))
    this.#hold.closing.addEventListener('abort', onClosing, { once: true })
    if (this.#hold.closing.aborted) onClosing()
    const watch = every(
      WATCH_MS,
      this.#over.signal,
      () => this.#look(),
      () => undefined,
    )
    try {
      await this.#run()
      return 'ended'
    } catch (error) {
      this.#halt.abort(error)
      if (error instanceof Halted) return error.end
      throw error
    } finally {
      this.#over.abort()
      this.#hold.closing.removeEventListener('abort', onClosing)
      await watch
    }
  }

  async #run(): Promise<void> {
    this.#lookAtClock()
    if (this.#record.cancelling_at !== undefined) this.#stop('cancelled')
    if (this.#record.stage === 'validating' && !(await this.#validate())) return
    const { count, header } = await readLastPart(this.#options.store, this.#batch)
    this.#part = count
    this.#totals = header?.totals ?? NOTHING
    await this.#runRows(header)
    await this.#finish()
  }

  /** False when the input file is refused; the batch has ended then. */
  async #validate(): Promise<boolean> {
    const content = await this.#input(0)
    const problem = { code: 'file_not_found', message: 'The input file is gone.', param: 'input_file_id', line: null }
    const { requests, problems } = content
      ? await validate(this.#unlessHalted(content), this.#record.endpoint, this.#options.limits)
      : { requests: 0, problems: [problem] }
    const now = Date.now()
    if (problems.length > 0) {
      await this.#end({ end: 'failed', ended_at: now, errors: JSON.stringify(problems) })
      return false
    }
    await this.#patiently(() =>
      writeProgress(this.#options.redis, this.#id, { stage: 'in_progress', in_progress_at: now, total: requests }),
    )
    return true
  }

  /** Two things at once: blocks go into the lane as there is room, and are written in order as they are answered. */
  async #runRows(last: PartHeader | undefined): Promise<void> {
    const { endpoints, limits, lane } = this.#options
    const from = last?.next ?? BEGINNING
    const content = await this.#input(from.offset)
    if (!content) throw new Error('the input file is gone')
    const lines = linesOf(this.#unlessHalted(content), limits.maxLineBytes, from)
    const blocks = blocksOf(lines, last ? last.first + last.rows : 0, (line) => this.#read(line))
    const blockOptions = {
      batch: this.#batch,
      endpoints,
      lane: this.#lane,
      writer: this.#writer,
      stopped: () => this.#stopped,
      halt: this.#halt.signal,
    }
    let written: Promise<void> = Promise.resolve()
    const unwritten: Promise<void>[] = []
    for await (const block of blocks) {
      const started = await startBlock(blockOptions, block)
      written = written.then(() => this.#write(block, started))
      written.catch((error: unknown) => this.#halt.abort(error))
      unwritten.push(written)
      // What is answered but cannot be written, since a chunk before it takes long, must not fill the memory.
      while (unwritten.length > 2 + (2 * lane.width()) / CHUNKS_A_BLOCK) await unwritten.shift()
      this.#halt.signal.throwIfAborted()
    }
    await written
  }

  #read(line: Line): BlockRow {
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
    const part = makePart(first, next, rows, this.#totals)
    const mine = await this.#patiently(() => this.#hold.isMine())
    if (!mine || !(await this.#whenThereIsRoom(() => putPart(this.#options.store, this.#batch, this.#part, part)))) {
      throw new Halted('lost')
    }
    this.#part += 1
    this.#totals = part.header.totals
    const { completed, failed } = part.header.totals
    this.#options.onRows(part.header.completed, part.header.failed)
    await this.#patiently(() => writeProgress(this.#options.redis, this.#id, { completed, failed }))
    this.#lane.forget(started.jobs)
  }

  async #finish(): Promise<void> {
    const { redis } = this.#options
    const { completed, failed, outputBytes, errorBytes } = this.#totals
    const now = Date.now()
    await this.#patiently(() =>
      writeProgress(redis, this.#id, { stage: 'finalizing', finalizing_at: now, completed, failed }),
    )
    const output = completed > 0 ? await this.#makeFile('output', outputBytes, now) : undefined
    const error = failed > 0 ? await this.#makeFile('errors', errorBytes, now) : undefined
    await this.#patiently(() => expireStored(redis, partsName(this.#batch), now + this.#record.output_ttl))
    await this.#end({
      end: this.#stopped?.end ?? 'completed',
      ended_at: Date.now(),
      completed,
      failed,
      ...(output === undefined ? {} : { output }),
      ...(error === undefined ? {} : { error }),
    })
  }

  /** The record of the output or error file; again is harmless. */
  async #makeFile(section: Section, bytes: number, now: number): Promise<string> {
    const { owner, uuid } = this.#id
    const file = uuidFromKey(owner, `${uuid} ${section}`)
    const fields = {
      filename: `batch_${uuid}_${section}.jsonl`,
      bytes,
      purpose: 'batch_output' as const,
      created_at: now,
      expires_at: now + this.#record.output_ttl,
      batch: this.#batch,
      section,
    }
    await this.#patiently(() => writeFileRecord(this.#options.redis, { owner, uuid: file }, fields))
    return file
  }

  async #end(fields: Parameters<typeof endBatch>[2]): Promise<void> {
    const { redis, batchTtl, logger, onEnd } = this.#options
    const input = { owner: this.#id.owner, uuid: this.#record.input }
    await this.#patiently(() => removeFileReader(redis, input, this.#batch))
    const first = await this.#patiently(() => endBatch(redis, this.#id, fields, batchTtl))
    if (!first) return
    const { end, completed, failed } = fields
    logger.info({ batch: this.#id.uuid, end, completed, failed }, 'a batch has ended')
    onEnd(this.#id)
  }

  async #input(offset: number): Promise<AsyncIterable<Buffer> | undefined> {
    const name = uploadName({ owner: this.#id.owner, uuid: this.#record.input })
    const stored = await this.#options.store.get(name, { start: offset, end: Number.MAX_SAFE_INTEGER })
    return stored?.content
  }

  async *#unlessHalted(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of content) {
      this.#halt.signal.throwIfAborted()
      yield piece
    }
  }

  /** Regularly: whose the job is, whether the batch was cancelled, and what time it is. */
  async #look(): Promise<void> {
    this.#lookAtClock()
    if (!(await this.#hold.isMine())) return this.#halt.abort(new Halted('lost'))
    const record = await readBatch(this.#options.redis, this.#id)
    if (!record) this.#halt.abort(new Halted('ended'))
    else if (record.cancelling_at !== undefined) this.#stop('cancelled')
  }

  #lookAtClock(): void {
    if (Date.now() > this.#record.expires_at) this.#stop('expired')
  }

  #stop(end: 'cancelled' | 'expired'): void {
    if (this.#stopped) return
    const why = end === 'cancelled' ? 'the batch was cancelled' : 'the completion window of the batch ended'
    this.#stopped = { end, code: `batch_${end}`, message: `This request was not answered before ${why}.` }
    this.#lane.stop()
  }

  /** Tries again while Redis is away. @throws the halt's reason. */
  async #patiently<T>(command: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await command()
      } catch (error) {
        this.#options.logger.debug({ reason: messageOf(error) }, 'a batch waits for Redis')
      }
      await pause(AGAIN_MS, this.#halt.signal)
      this.#halt.signal.throwIfAborted()
    }
  }

  async #whenThereIsRoom<T>(put: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await put()
      } catch (error) {
        if (!(error instanceof StorageFull)) throw error
        this.#options.logger.error({ batch: this.#id.uuid }, 'a batch waits: the file store is full')
      }
      await pause(FULL_AGAIN_MS, this.#halt.signal)
      this.#halt.signal.throwIfAborted()
    }
  }
}
