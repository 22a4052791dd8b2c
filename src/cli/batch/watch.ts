// Progress of a batch on the server: the rows that are computed, or why none is.
import { pause } from '../../async.ts'
import type { Inferq } from '../../client/client.ts'
import type { Batch } from '../../client/types.ts'
import { countOf, countText } from '../format.ts'
import type { Progress } from '../progress.ts'

export interface WatchOptions {
  inferq: Inferq
  batchId: string
  /** Rows before the batch. */
  before: number
  /** Whether rows that are computed already are from an earlier run, and do not count for the rate. */
  isResumed: boolean
  /** The batches of this run, which it does not wait for. */
  own: string[]
  /** The model of the rows; undefined for the server's default model, or where each row has its own. */
  model: string | undefined
  progress: Pick<Progress, 'set' | 'restart' | 'setReason'>
  signal: AbortSignal
  /** Between two readings; 2 s by default. */
  pollMs?: number
}

const POLL_MS = 2_000
/** A batch that has computed rows may pause shortly between two chunks. */
const STALLED_POLLS = 3
const ENDED: Batch['status'][] = ['completed', 'failed', 'expired', 'cancelled']

/**
 * Reads the batch every 2 s until the signal aborts or the batch has ended. Best effort: errors are those of the requests
 * that fetch the results.
 * @returns after the first reading; `done` resolves at the end.
 */
export async function watchBatch(options: WatchOptions): Promise<{ done: Promise<void> }> {
  const { progress } = options
  const first = await read(options)
  if (first && options.isResumed) progress.restart(options.before + computedOf(first))
  return { done: watch(options, first) }
}

async function watch(options: WatchOptions, first: Batch | undefined): Promise<void> {
  const { before, progress, signal, pollMs = POLL_MS } = options
  let last = first ? computedOf(first) : 0
  let unmoved = 0
  for (let batch = first; !signal.aborted; batch = await read(options)) {
    if (batch) {
      const computed = computedOf(batch)
      unmoved = computed > last ? 0 : unmoved + 1
      last = Math.max(last, computed)
      progress.set(before + last)
      const waits = last === 0 || unmoved > STALLED_POLLS
      progress.setReason(waits ? await reasonOf(batch, options) : undefined)
      if (ENDED.includes(batch.status)) return
    }
    await pause(pollMs, signal)
  }
}

async function read({ inferq, batchId, signal }: WatchOptions): Promise<Batch | undefined> {
  return inferq.batches.get(batchId, signal).catch(() => undefined)
}

function computedOf({ request_counts: { completed, failed } }: Batch): number {
  return completed + failed
}

/** @returns undefined when nothing is known to be in the way. */
async function reasonOf(batch: Batch, options: WatchOptions): Promise<string | undefined> {
  if (batch.status === 'validating') return 'validating on the server'
  if (batch.status !== 'in_progress') return undefined
  return (await unservedModel(options)) ?? (await otherBatches(options)) ?? 'waiting for the first results'
}

async function unservedModel({ inferq, model, signal }: WatchOptions): Promise<string | undefined> {
  const models = await inferq.models.list(signal).catch(() => [])
  const name = model?.split('@')[0]?.split('/').at(-1)?.toLowerCase()
  const found = models.find((each) => (name === undefined ? each.default : each.id.toLowerCase() === name))
  return found?.state === 'no_worker' ? `no worker serves "${found.id}"; waiting for one` : undefined
}

async function otherBatches({ inferq, batchId, own }: WatchOptions): Promise<string | undefined> {
  const { data } = await inferq.batches.list({ limit: 100 }).catch(() => ({ data: [] as Batch[] }))
  const others = data.filter(({ id, status }) => id !== batchId && !own.includes(id) && !ENDED.includes(status))
  if (others.length === 0) return undefined
  const rows = others.reduce(
    (sum, { request_counts: { total, completed, failed } }) => sum + total - completed - failed,
    0,
  )
  const batches = others.length === 1 ? 'another batch' : `${countText(others.length)} other batches`
  return `waiting behind ${batches} (${countOf(rows, 'row')})`
}
