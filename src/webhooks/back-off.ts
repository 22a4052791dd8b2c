// When a failed delivery is sent again.

const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000]
/** Milliseconds from each failed attempt to the next one; after the last one the delivery has failed. */
const DELAYS_MS = [5 * SECOND, 30 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR]
/** Each delay is up to this share longer, so that the deliveries of an outage do not come back together. */
const JITTER = 0.25

/** A receiver may ask for no longer pause. */
const MAX_ASKED_MS = HOUR

/**
 * Milliseconds to the next attempt; undefined after the last one.
 * @param tries attempts so far. @param asked milliseconds that the receiver asks to wait (Retry-After).
 */
export function retryDelay(tries: number, asked = 0, random = Math.random): number | undefined {
  const delay = DELAYS_MS[tries - 1]
  if (delay === undefined) return undefined
  return Math.round(Math.max(delay, Math.min(asked, MAX_ASKED_MS)) * (1 + JITTER * random()))
}
