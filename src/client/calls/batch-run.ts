// Batches of an iterable: items are uploaded in groups, and read as fast as their results are consumed.
import { BatchError, ConnectionError } from '../errors.ts'
import { type Http, pause } from '../http/http.ts'
import { randomKey } from '../http/random-key.ts'
import type { Batch, BatchLine, PredictInput, PredictOptions, PredictResult, ServerInfo } from '../types.ts'
import { type BatchFileCalls, ENDED, removeFilesOfBatch } from './batch-files.ts'
import { type Group, groupsOf } from './batch-groups.ts'
import { resultOf } from './batch-result.ts'
import { bodyOf } from './body.ts'
import { FileCalls } from './files.ts'

export interface RunBatch<Item = PredictInput> extends PredictOptions {
  /** The text or pair of an item; by default the item itself. */
  inputOf?: (item: Item) => PredictInput
  /** Rows of a batch; 10,000 by default, and at most the server's `max_batch_lines`. */
  rowsPerBatch?: number
  /** A duration such as `24h`, which is the default. */
  completionWindow?: string
  completeBy?: Date
  /** Of each batch. */
  metadata?: Record<string, string>
  /** Keeps the files of finished batches on the server, which are otherwise deleted. */
  keep?: boolean
}

export interface BatchRow<Item = PredictInput> {
  /** The place of the item in the iterable, from 0. */
  index: number
  item: Item
  /** The labels of the item, the best first, or its error. */
  result: PredictResult
}

export interface BatchRunCalls {
  http: Http
  batches: BatchFileCalls['batches'] & {
    create(batch: {
      inputFileId: string
      completionWindow?: string
      completeBy?: Date
      metadata?: Record<string, string>
      idempotencyKey: string
      signal: AbortSignal
    }): Promise<Batch>
    cancel(id: string): Promise<Batch>
    results(id: string, options: { after: number; follow: true; signal: AbortSignal }): AsyncIterable<BatchLine>
  }
}

/** A group on the server; without ids when all of its results are known. */
interface Part<Item> extends Group<Item> {
  fileId?: string
  batchId?: string
}

const [DEFAULT_ROWS, DEFAULT_MAX_LINES] = [10_000, 50_000]
const [MAX_BYTES, DEFAULT_LINE_BYTES] = [16_000_000, 1_000_000]
/** Failures in a row after which the run fails, and the pause after the first; it doubles. Half a minute in all. */
const [MAX_RETRIES, RECONNECT_MS] = [6, 500]

/** One group is read ahead: at most two are in memory and on the server. */
export async function* runBatches<Item>(
  calls: BatchRunCalls,
  items: Iterable<Item> | AsyncIterable<Item>,
  options: RunBatch<Item>,
): AsyncGenerator<BatchRow<Item>, void> {
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const groups = groupsOf(items, { ...(await groupOptions(calls.http, options)), signal })
  const files = new FileCalls(calls.http)
  const begin = () => {
    const begun = startNext(calls, files, groups, options, signal)
    // It is awaited later; until then its rejection must not count as unhandled.
    begun.catch(() => undefined)
    return begun
  }
  let next = begin()
  let part: Part<Item> | undefined
  let index = 0
  try {
    for (part = await next; part; part = await next) {
      next = begin()
      for await (const row of rowsOf(calls, part, signal)) yield { index: index++, ...row }
      const { fileId, batchId } = part
      part = undefined
      if (fileId && batchId && !options.keep) {
        // Files that are not removed expire, so a server that stays away does not fail the run.
        await persistently(() => calls.batches.get(batchId, signal), signal).catch(() => undefined)
        await removeFilesOfBatch({ ...calls, files }, { fileId, batchId }, signal)
      }
    }
  } finally {
    stop.abort(new Error('the run has ended'))
    const unfinished = [part, await next.catch(() => undefined)].flatMap((each) => each?.batchId ?? [])
    await groups.return(undefined)
    await Promise.allSettled(unfinished.map((id) => calls.batches.cancel(id)))
  }
}

async function groupOptions<Item>(http: Http, options: RunBatch<Item>) {
  const { inputOf = (item: Item) => item as PredictInput, rowsPerBatch = DEFAULT_ROWS, signal, ...rest } = options
  const { limits } = await http.json<ServerInfo>('GET', '/info', { signal })
  return {
    inputOf,
    members: bodyOf(rest),
    maxRows: Math.max(1, Math.min(rowsPerBatch, limits['max_batch_lines'] ?? DEFAULT_MAX_LINES)),
    maxBytes: Math.min(MAX_BYTES, limits['max_file_bytes'] ?? MAX_BYTES),
    maxLineBytes: limits['max_body_bytes'] ?? DEFAULT_LINE_BYTES,
  }
}

/** Reads a group, uploads it and creates its batch. @returns undefined at the end of the items. */
async function startNext<Item>(
  { batches }: BatchRunCalls,
  files: FileCalls,
  groups: AsyncGenerator<Group<Item>>,
  { completionWindow, completeBy, metadata }: RunBatch<Item>,
  signal: AbortSignal,
): Promise<Part<Item> | undefined> {
  const { done, value: group } = await groups.next()
  if (done) return undefined
  if (group.lines.length === 0) return group
  const content = new Blob(group.lines)
  const upload = { filename: 'run.jsonl', content, idempotencyKey: randomKey(), signal }
  const { id: fileId } = await persistently(() => files.create(upload), signal)
  const batch = {
    inputFileId: fileId,
    ...(completionWindow === undefined ? {} : { completionWindow }),
    ...(completeBy === undefined ? {} : { completeBy }),
    ...(metadata === undefined ? {} : { metadata }),
    idempotencyKey: randomKey(),
    signal,
  }
  const { id: batchId } = await persistently(() => batches.create(batch), signal)
  return { items: group.items, lines: [], fileId, batchId }
}

/** @yields the items with their results, in order. @throws BatchError when the batch ends without all of them. */
async function* rowsOf<Item>(
  calls: BatchRunCalls,
  { items, batchId }: Part<Item>,
  signal: AbortSignal,
): AsyncGenerator<{ item: Item; result: PredictResult }> {
  const expected = items.filter(({ result }) => result === undefined).length
  const lines = batchId === undefined ? undefined : linesOfBatch(calls, batchId, expected, signal)
  for (const { item, result } of items) {
    if (result) {
      yield { item, result }
    } else {
      const line = await lines?.next()
      if (line && !line.done) yield { item, result: resultOf(line.value) }
    }
  }
}

/** Reads the results of a batch; a connection that is lost is opened again. */
async function* linesOfBatch(
  { batches }: BatchRunCalls,
  batchId: string,
  expected: number,
  signal: AbortSignal,
): AsyncGenerator<BatchLine> {
  let received = 0
  let hadEnded = false
  for (let empty = 0; received < expected; empty += 1) {
    try {
      for await (const line of batches.results(batchId, { after: received, follow: true, signal })) {
        received += 1
        empty = 0
        hadEnded = false
        yield line
      }
      if (received === expected) return
      const batch = await batches.get(batchId, signal)
      // The last rows may have arrived between the end of the stream and this reading.
      if (hadEnded || (empty >= MAX_RETRIES && ENDED.includes(batch.status))) throw new BatchError(batch)
      hadEnded = ENDED.includes(batch.status)
    } catch (error) {
      if (!(error instanceof ConnectionError) || empty >= MAX_RETRIES) throw error
    }
    await pause(RECONNECT_MS * 2 ** Math.min(empty, MAX_RETRIES), signal)
  }
}

/** Repeats a request that is safe to repeat while the server is away. */
async function persistently<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof ConnectionError) || retries >= MAX_RETRIES) throw error
      await pause(RECONNECT_MS * 2 ** retries, signal)
    }
  }
}
