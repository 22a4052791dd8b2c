// Headers of an answer: model, revision, workers and Server-Timing.
import type { Answer } from '../../predict/sync-predictor.ts'
import { isFailed } from '../../queue/job.ts'

// Headers of an answer: model, timings and Server-Timing.

/** X-Model, X-Model-Revision, X-Worker and Server-Timing (milliseconds; of many rows the longest). */
export function answerHeaders(model: string, answers: Answer[]): Record<string, string> {
  const longest = (part: 'queue' | 'tokenize' | 'infer') =>
    answers.reduce((most, { row }) => (isFailed(row) ? most : Math.max(most, row.ms[part])), 0).toFixed(2)
  return {
    'X-Model': model,
    'X-Model-Revision': answers[0]?.result.revision ?? '',
    'X-Worker': [...new Set(answers.map(({ result }) => result.worker))].join(', '),
    'Server-Timing': `queue;dur=${longest('queue')}, tokenize;dur=${longest('tokenize')}, infer;dur=${longest('infer')}`,
    'Cache-Control': 'no-store',
  }
}
