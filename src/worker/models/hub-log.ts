// What the log says of models that are fetched: how far each file is, at most a line a second.
import type { Logger } from '../../logger.ts'
import type { HubEvents } from './hub.ts'

const EVERY_MS = 1_000

export function logHub(logger: Logger, now: () => number = Date.now): HubEvents {
  let at = Number.NEGATIVE_INFINITY
  return {
    progress(model, file, bytes, total) {
      const isWhole = bytes === total
      if (now() - at < EVERY_MS && !isWhole) return
      at = now()
      const percent = total ? Math.floor((100 * bytes) / total) : undefined
      const fields = { model, file, bytes, percent }
      if (isWhole) logger.info(fields, 'fetched from the Hub')
      // A warning, because whoever looks on sees a worker that takes no jobs.
      else logger.warn(fields, 'fetching from the Hub; no jobs are taken until it is here')
    },
    waiting: (model) => logger.warn({ model }, 'another process fetches this model already; waiting for it'),
    stale: (model, reason) =>
      logger.warn({ model, reason }, 'the Hub cannot be asked; what was fetched before is served'),
  }
}
