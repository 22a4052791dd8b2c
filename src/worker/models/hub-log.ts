// Log of downloads from the Hub: progress of each file, at most one line per second.
import type { Logger } from '../../logger.ts'
import type { HubEvents } from './hub.ts'

const INTERVAL_MS = 1_000

export function logHub(logger: Logger, now: () => number = Date.now): HubEvents {
  let lastLineAt = Number.NEGATIVE_INFINITY
  return {
    progress(model, file, bytes, total) {
      const isComplete = bytes === total
      if (now() - lastLineAt < INTERVAL_MS && !isComplete) return
      lastLineAt = now()
      const percent = total ? Math.floor((100 * bytes) / total) : undefined
      const fields = { model, file, bytes, percent }
      if (isComplete) logger.info(fields, 'fetched from the Hub')
      // A warning, because the worker takes no jobs meanwhile.
      else logger.warn(fields, 'fetching from the Hub; the worker takes no jobs until the model is complete')
    },
    limited: (model, ms) =>
      logger.warn({ model, seconds: Math.ceil(ms / 1_000) }, 'the Hub limits requests; waiting as long as it asks'),
    waiting: (model) => logger.warn({ model }, 'another process is fetching this model; waiting for it'),
    stale: (model, reason) =>
      logger.warn({ model, reason }, 'the Hub is unavailable; the revision in the cache is served'),
  }
}
