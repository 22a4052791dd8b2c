// What happened between two readings of the metrics of an api.
import { sumOf } from './metrics-text.js'

/** Routes of plain calls, which wait for their answer. */
const CALLS = ['/predict', '/', '/invocations', '/models/:model', '/models/:owner/:name']

/** @typedef {{at: number, metrics: Map<string, import('./metrics-text.js').Sample[]>}} Reading `at` in milliseconds */

/**
 * Rates a second; undefined when the readings are of different processes, whose counters begin at zero.
 * @param {Reading} before
 * @param {Reading} after
 * @returns {{calls: number, rows: number, p50: number | null, p99: number | null} | undefined} texts of calls, rows of
 *   batches, and seconds that half and 99 % of the calls took at most; null without a call
 */
export function ratesBetween(before, after) {
  const seconds = (after.at - before.at) / 1_000
  const start = 'process_start_time_seconds'
  if (seconds <= 0 || sumOf(before.metrics, start) !== sumOf(after.metrics, start)) return undefined
  const rate = (/** @type {string} */ name) =>
    Math.max(0, sumOf(after.metrics, name) - sumOf(before.metrics, name)) / seconds
  const buckets = bucketsBetween(before, after)
  return {
    calls: rate('inferq_texts_total'),
    rows: rate('inferq_batch_rows_total'),
    p50: quantile(buckets, 0.5),
    p99: quantile(buckets, 0.99),
  }
}

/**
 * Refusals by reason.
 * @param {Reading} reading
 * @returns {Map<string, number>} since the start of the api
 */
export function refusalsOf({ metrics }) {
  const samples = metrics.get('inferq_refused_total') ?? []
  return new Map(samples.filter(({ value }) => value > 0).map(({ labels, value }) => [labels['reason'] ?? '', value]))
}

/** Calls by their duration: pairs of the bound of a bucket and its calls. @param {Reading} before @param {Reading} after */
function bucketsBetween(before, after) {
  /** @type {Map<number, number>} */
  const counts = new Map()
  for (const [reading, sign] of /** @type {[Reading, number][]} */ ([
    [before, -1],
    [after, 1],
  ])) {
    for (const { labels, value } of reading.metrics.get('inferq_http_request_seconds_bucket') ?? []) {
      if (
        !CALLS.includes(labels['route'] ?? '') ||
        labels['status'] !== '200' ||
        (labels['route'] === '/' && labels['method'] === 'GET')
      )
        continue
      const bound = Number((labels['le'] ?? '').replace('+Inf', 'Infinity'))
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value)
    }
  }
  return [...counts].sort((a, b) => a[0] - b[0])
}

/**
 * As Prometheus' histogram_quantile: linear within a bucket.
 * @param {[number, number][]} buckets bounds, ascending, and how many values are at most that
 * @param {number} share 0 to 1
 * @returns {number | null} null without a value
 */
export function quantile(buckets, share) {
  const total = buckets.at(-1)?.[1] ?? 0
  if (total <= 0) return null
  const rank = share * total
  let [low, below] = [0, 0]
  for (const [bound, count] of buckets) {
    if (count >= rank) {
      if (bound === Number.POSITIVE_INFINITY) return low
      return count === below ? bound : low + ((bound - low) * (rank - below)) / (count - below)
    }
    low = bound
    below = count
  }
  return low
}

/**
 * Seconds of work by urgency, of all models.
 * @param {Record<string, any>} models of /v1/queue
 */
export function workOf(models) {
  const sum = (/** @type {string} */ lane) =>
    Object.values(models).reduce((seconds, { work_seconds: work }) => seconds + (work[lane] ?? 0), 0)
  return { interactive: sum('interactive'), async: sum('async'), bulk: sum('bulk') }
}
