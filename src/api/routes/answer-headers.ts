// Response headers of results, and of repeated requests.
import type { Answer } from '../../predict/sync-predictor.ts'
import { isFailed } from '../../queue/job.ts'

/**
 * X-Model, X-Model-Revision, X-Worker, Server-Timing (milliseconds, the maximum over all rows), X-Compute-Tokens as Text
 * Embeddings Inference has it, and X-Truncated-Texts.
 */
export function answerHeaders(model: string, answers: Answer[]): Record<string, string> {
  const computed = answers.flatMap(({ row }) => (isFailed(row) ? [] : [row]))
  const longest = (part: 'queue' | 'tokenize' | 'infer') =>
    computed.reduce((max, { ms }) => Math.max(max, ms[part]), 0).toFixed(2)
  return {
    'X-Model': model,
    'X-Model-Revision': answers[0]?.result.revision ?? '',
    'X-Worker': [...new Set(answers.map(({ result }) => result.worker))].join(', '),
    'Server-Timing': `queue;dur=${longest('queue')}, tokenize;dur=${longest('tokenize')}, infer;dur=${longest('infer')}`,
    'X-Compute-Tokens': String(computed.reduce((sum, { tokens }) => sum + tokens, 0)),
    'X-Truncated-Texts': String(computed.filter(({ truncated }) => truncated).length),
    'Cache-Control': 'no-store',
  }
}

/** X-Cache: how many of the texts were not computed for this call; none without a cache. */
export function cacheHeader(cached: number | undefined, texts: number): Record<string, string> {
  if (cached === undefined) return {}
  return { 'X-Cache': cached === texts ? 'hit' : cached === 0 ? 'miss' : `${cached} of ${texts}` }
}

/** Idempotency-Replayed, when an earlier request with the same key was answered. */
export function replayedHeader(replayed: boolean): Record<string, string> {
  return replayed ? { 'Idempotency-Replayed': 'true' } : {}
}
