// Runs one batch from its input file to its end. Output is stored as parts, each written whole and once, so an api that takes over continues after the last part.

import { every, untilAborted } from '../async.ts'
import type { PlaceQueue } from '../predict/place-queue.ts'
import { type BatchRecord, readBatch, writeProgress } from '../records/batches.ts'
import { keyIdOf, type OwnedId } from '../records/ids.ts'
import { type BatchRunEnd, type JobLock, RunAbortedError } from './batch.ts'
import { type StartedBlock, startBlock } from './block-run.ts'
import { type Block, blocksOf } from './blocks.ts'
import { ChunkSender, type ChunkSenderOptions } from './chunk-sender.ts'
import type { Endpoints } from './endpoints.ts'
import type { FetchedInputs } from './files/fetched-inputs.ts'
import { uploadName } from './files/files.ts'
import { type BatchEnding, closeBatch, type FinishOptions, finishBatch } from './finish.ts'
import { type CheckInputOptions, checkInput } from './input/check-input.ts'
import type { LineProblem } from './input/input-line.ts'
import { FILE_START, type InputLine, readLines } from './input/jsonl.ts'
import { readRow } from './input/read-row.ts'
import { type OutputRow, RowWriter } from './output/output-row.ts'
import {
  createPart,
  type Part,
  type PartHeader,
  partsBytes,
  partsName,
  putPart,
  readLastPart,
  type Totals,
  ZERO_TOTALS,
} from './output/parts.ts'
import { UnwrittenBlocks } from './output/unwritten-blocks.ts'
import { RetryStorage } from './retry-storage.ts'
import { type FileStore, StorageFullError } from './storage/file-store.ts'
import type { StorageQuota } from './storage/quota.ts'

export interface BatchRunOptions extends FinishOptions, CheckInputOptions {
  store: FileStore
  quota: StorageQuota
  inputs: FetchedInputs
  sender: ChunkSenderOptions
  endpoints: Endpoints
  /** Milliseconds of one process that a block may take. */
  blockWork: () => number
  /** Places of batches that are validated, and of batches that run; shared by all batches of this process. */
  places: { validation: PlaceQueue; run: PlaceQueue }
  onRows: (answered: number, failed: number, id: OwnedId) => void
}

const STATE_POLL_MS = 500
/** A batch that waits for its place is checked this much less often, because a thousand may wait. */
const WAITING_POLL_FACTOR = 4

/**
 * Runs the batch until it ends, this process stops, or another api holds the job.
 * @throws unexpected errors, for example of the file store; a later run continues after the last stored part.
 */
export async function runBatch(options: BatchRunOptions, id: OwnedId, lock: JobLock): Promise<BatchRunEnd> {
  const record = await readBatch(options.redis, id)
  if (!record || record.ended_at !== undefined) return 'ended'
  const run = new BatchRun(options, id, record, lock)
  return run.run()
}

class BatchRun {
  readonly #options: BatchRunOptions
  readonly #id: OwnedId
  readonly #batch: string
  readonly #record: BatchRecord
  readonly #lock: JobLock
  readonly #abort = new AbortController()
  readonly #ended = new AbortController()
  readonly #sender: ChunkSender
  readonly #retry: RetryStorage
  readonly #writer: RowWriter
  /** Set once; rows that are unanswered by then get it as their error. */
  #stopped: { end: 'cancelled' | 'expired'; code: string; message: string } | undefined
  /** The rows from this one on are not written: the batch was stopped while the file store was full. */
  #unwrittenFrom: number | undefined
  /** Aborts when the batch is stopped, so that it no longer waits for a place. */
  readonly #stopping = new AbortController()
  #waitsForPlace = false
  #polls = 0
  #part = 0
  #totals: Totals = ZERO_TOTALS

  constructor(options: BatchRunOptions, id: OwnedId, record: BatchRecord, lock: JobLock) {
    this.#options = options
    this.#id = id
    this.#batch = keyIdOf(id)
    this.#record = record
    this.#lock = lock
    this.#sender = new ChunkSender(options.sender, this.#batch, this.#abort.signal, record.complete_by)
    this.#retry = new RetryStorage(id.uuid, options.logger, this.#abort.signal)
    this.#writer = new RowWriter(id.uuid)
  }

  async run(): Promise<BatchRunEnd> {
    const onClosing = () => this.#abort.abort(new RunAbortedError('requeued'))
    this.#lock.closing.addEventListener('abort', onClosing, { once: true })
    if (this.#lock.closing.aborted) onClosing()
    const statePolls = every(
      STATE_POLL_MS,
      this.#ended.signal,
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
      this.#ended.abort()
      this.#lock.closing.removeEventListener('abort', onClosing)
      await statePolls
    }
  }

  async #run(): Promise<void> {
    this.#checkDeadline()
    if (this.#record.cancelling_at !== undefined) this.#stop('cancelled')
    if (this.#record.stage === 'validating') {
      if (!(await this.#fetchInput())) return
      const valid = await this.#inPlace(this.#options.places.validation, () => this.#validate())
      if (!valid) return
    }
    await this.#inPlace(this.#options.places.run, () => this.#runToEnd())
  }

  /** Runs a task in a place of the process. A batch that is stopped does not wait for one: it ends without much work. */
  async #inPlace<T>(places: PlaceQueue, task: () => Promise<T>): Promise<T> {
    this.#waitsForPlace = true
    const signal = AbortSignal.any([this.#stopping.signal, this.#abort.signal])
    const release = await places.acquire(this.#id.owner, signal).catch(() => undefined)
    this.#waitsForPlace = false
    try {
      this.#abort.signal.throwIfAborted()
      return await task()
    } finally {
      release?.()
    }
  }

  async #runToEnd(): Promise<void> {
    const { count, header } = await readLastPart(this.#options.store, this.#batch)
    this.#part = count
    this.#totals = header?.totals ?? ZERO_TOTALS
    await this.#runRows(header)
    await finishBatch(this.#options, this.#id, this.#record, this.#ending(), this.#totals, this.#retry)
  }

  #ending(): BatchEnding {
    if (!this.#stopped) return { end: 'completed' }
    const { end, code, message } = this.#stopped
    return this.#unwrittenFrom === undefined ? { end } : { end, rest: { from: this.#unwrittenFrom, code, message } }
  }

  /** Stores an input that is named by a URL. Returns false when it cannot be, or the batch is stopped: then it has ended. */
  async #fetchInput(): Promise<boolean> {
    const signal = AbortSignal.any([this.#stopping.signal, this.#abort.signal])
    try {
      const problem = await this.#options.inputs.fetch(this.#id, this.#record, signal)
      if (problem) await this.#fail([problem])
      return problem === undefined
    } catch (error) {
      if (this.#abort.signal.aborted || !this.#stopped) throw error
    }
    await finishBatch(this.#options, this.#id, this.#record, this.#ending(), ZERO_TOTALS, this.#retry)
    return false
  }

  async #fail(problems: LineProblem[]): Promise<void> {
    const fields = { end: 'failed' as const, ended_at: Date.now(), errors: JSON.stringify(problems) }
    await closeBatch(this.#options, this.#id, this.#record, fields, this.#retry)
  }

  /** Returns false when the input file is invalid; the batch has ended as failed then. */
  async #validate(): Promise<boolean> {
    const content = await this.#readInput(0)
    const lines = content && untilAborted(content, this.#abort.signal)
    const { requests, problems } = await checkInput(this.#options, this.#id.owner, this.#record, lines)
    if (problems.length > 0) {
      await this.#fail(problems)
      return false
    }
    const progress = { stage: 'in_progress' as const, in_progress_at: Date.now(), total: requests }
    await this.#retry.command(() => writeProgress(this.#options.redis, this.#id, progress))
    return true
  }

  /** Sends blocks while the lane has room, and concurrently writes answered blocks in input order. */
  async #runRows(last: PartHeader | undefined): Promise<void> {
    const { blockWork, endpoints, limits, sender, turns } = this.#options
    const from = last?.next ?? FILE_START
    const content = await this.#readInput(from.offset)
    if (!content) throw new Error('the input file no longer exists')
    const lines = readLines(untilAborted(content, this.#abort.signal), limits.maxLineBytes, from)
    const read = (line: InputLine) => readRow(line, this.#record.endpoint, endpoints, limits.body)
    const blocks = blocksOf(lines, last ? last.first + last.rows : 0, read, turns, blockWork)
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
    const unwritten = new UnwrittenBlocks(() => 2 * sender.room())
    for await (const block of blocks) {
      const started = await startBlock(blockOptions, block)
      written = written.then(() => this.#write(block, started))
      written.catch((error: unknown) => this.#abort.abort(error))
      if (this.#unwrittenFrom !== undefined) break
      await unwritten.add(written, block.work)
      this.#abort.signal.throwIfAborted()
    }
    await written
  }

  async #write({ first, next }: Block, started: StartedBlock): Promise<void> {
    const rows: OutputRow[] = await started.rows
    if (this.#unwrittenFrom !== undefined) return
    await this.#options.turns.wait()
    const part = createPart(first, next, rows, this.#totals)
    const isHeld = await this.#retry.command(() => this.#lock.isHeld())
    const isStored = isHeld && (await this.#store(part))
    if (isStored === 'full') {
      this.#unwrittenFrom = first
      return
    }
    if (!isStored) throw new RunAbortedError('lost')
    this.#part += 1
    this.#totals = part.header.totals
    const { completed, failed } = this.#totals
    await this.#retry.command(async () => {
      await writeProgress(this.#options.redis, this.#id, { completed, failed })
      await this.#options.quota.set(partsName(this.#batch), partsBytes(this.#totals))
    })
    this.#options.onRows(part.header.completed, part.header.failed, this.#id)
    this.#sender.removeJobs(started.jobs)
  }

  /** False when another api stored the part; `full` when the file store has no space for it until the batch is stopped. */
  async #store(part: Part): Promise<boolean | 'full'> {
    const { store } = this.#options
    const isStopped = () => this.#stopped !== undefined
    try {
      return await this.#retry.put(() => putPart(store, this.#batch, this.#part, part), isStopped)
    } catch (error) {
      if (error instanceof StorageFullError && isStopped()) return 'full'
      throw error
    }
  }

  async #readInput(offset: number): Promise<AsyncIterable<Buffer> | undefined> {
    const name = uploadName({ owner: this.#id.owner, uuid: this.#record.input })
    const stored = await this.#options.store.get(name, { start: offset, end: Number.MAX_SAFE_INTEGER })
    return stored?.content
  }

  /** Aborts the run when the job or the record is lost; stops it on cancellation and at the deadline. */
  async #checkState(): Promise<void> {
    this.#checkDeadline()
    this.#polls += 1
    if (this.#waitsForPlace && this.#polls % WAITING_POLL_FACTOR !== 0) return
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
    const event = end === 'cancelled' ? 'the batch was cancelled' : 'the completion window of the batch ended'
    this.#stopped = { end, code: `batch_${end}`, message: `This request was not answered before ${event}.` }
    this.#sender.cancel()
    this.#stopping.abort()
  }
}
