// Load on a stack, from a separate process.
import { askChild } from './child.ts'
import { type Bench, type Figure, median } from './question.ts'

export interface LoadOrder {
  url: string
  connections: number
  warmUpSeconds: number
  seconds: number
  /** An API key's secret. */
  key?: string
  /** Every connection sends them in turn, each starting at a different one. */
  requests: Request[]
}

export interface Request {
  method: 'GET' | 'POST'
  path: string
  body?: string
}

export interface LoadResult {
  /** Responses with 200, and their rate per second. */
  answered: number
  perSecond: number
  /** Of one request, milliseconds. */
  p50: number
  p99: number
  /** Responses with another status, and connection errors. */
  failed: number
}

/** @throws when no request is answered with 200. */
export async function load(
  { effort, signal }: Bench,
  { url, key }: { url: string; key?: string },
  connections: number,
  requests: Request[],
): Promise<LoadResult> {
  const { warmUpSeconds, seconds } = effort
  const order: LoadOrder = { url, connections, warmUpSeconds, seconds, requests, ...(key === undefined ? {} : { key }) }
  const result = await askChild<LoadResult>('./cannon.ts', order, signal)
  if (result.answered === 0) throw new Error(`none of ${result.failed} requests was answered with 200`)
  return result
}

/** A row for refused and failed requests, if any; the other figures do not include them. */
export function failures(what: string, results: LoadResult[]): Figure[] {
  const failed = median(results.map((result) => result.failed))
  return failed > 0 ? [{ what: `${what}, not answered with 200`, measured: failed, unit: 'requests' }] : []
}

/** Requests with one text each. */
export function single(texts: string[]): Request[] {
  return texts.map((text) => ({ method: 'GET', path: `/predict?text=${encodeURIComponent(text)}` }))
}

/** Requests with `size` texts each. */
export function groups(texts: string[], size: number): Request[] {
  return Array.from({ length: Math.floor(texts.length / size) }, (_, index) => ({
    method: 'POST',
    path: '/predict',
    body: JSON.stringify({ inputs: texts.slice(index * size, (index + 1) * size) }),
  }))
}
