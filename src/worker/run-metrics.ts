// Metrics and log lines of runs.
import { type Logger, onceASecond } from '../logger.ts'
import { isFailed } from '../queue/job.ts'
import type { WorkerMetrics } from '../telemetry/metrics.ts'
import type { Usage } from './scheduling/completed-run.ts'
import type { DispatcherEvents } from './scheduling/dispatcher.ts'

/** Owners with time series of their own; those after them share one. Keys are configured, but may be replaced for years. */
const MAX_OWNERS = 1_000
const OTHER_OWNERS = 'other'

export function dispatcherEvents(metrics: WorkerMetrics, logger: Logger): DispatcherEvents {
  const warn = onceASecond((message, leftOut) => logger.warn({ leftOut }, message))
  const owners = new Set<string>()
  const count = (owner: string, { texts, tokens, ms }: Usage) => {
    if (owners.size < MAX_OWNERS) owners.add(owner)
    const labels = { owner: owners.has(owner) ? owner : OTHER_OWNERS }
    metrics.keyTexts.inc(labels, texts)
    metrics.keyTokens.inc(labels, tokens)
    metrics.keyCompute.inc(labels, ms / 1_000)
  }
  return {
    ran(model, { texts, tokens, padding, ms, tokenizeMs, usage }) {
      metrics.runs.observe({ model }, ms / 1_000)
      metrics.tokenizing.observe({ model }, tokenizeMs / 1_000)
      metrics.runTexts.observe({ model }, texts)
      metrics.tokens.inc({ model, kind: 'text' }, tokens)
      metrics.tokens.inc({ model, kind: 'padding' }, padding)
      for (const [owner, used] of usage) count(owner, used)
    },
    queued: (model, lane, ms) => metrics.queueTime.observe({ model, lane }, ms / 1_000),
    broken(model, cause, times, errorMessage) {
      metrics.bisections.inc({ model, cause }, times)
      warn(errorMessage ? `a run of ${model} failed: ${errorMessage}` : `a run of ${model} was lost: ${cause}`)
    },
    rows(model, rows) {
      const failed = rows.filter(isFailed)
      metrics.texts.inc({ model, outcome: 'done' }, rows.length - failed.length)
      metrics.texts.inc({ model, outcome: 'failed' }, failed.length)
      for (const { error } of failed) metrics.failedTexts.inc({ model, code: error.code })
    },
  }
}
