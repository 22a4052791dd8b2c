// When a failed delivery is sent again.

const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000]
/** Milliseconds from each failed attempt to the next one; after the last one the delivery has failed. */
const DELAYS_MS = [5 * SECOND, 30 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR]
/** Each delay is up to this share longer, so that the deliveries of an outage do not come back together. */
const JITTER = 0.25

/** Milliseconds to the next attempt; undefined after the last one. @param tries attempts so far. */
export function retryDelay(tries: number, random = Math.random): number | undefined {
  const delay = DELAYS_MS[tries - 1]
  return delay === undefined ? undefined : Math.round(delay * (1 + JITTER * random()))
}
