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
      logger.info({ model, file, bytes, percent }, isWhole ? 'fetched from the Hub' : 'fetching from the Hub')
    },
    waiting: (model) => logger.info({ model }, 'another process fetches this model already; waiting for it'),
    stale: (model, reason) =>
      logger.warn({ model, reason }, 'the Hub cannot be asked; what was fetched before is served'),
  }
}
