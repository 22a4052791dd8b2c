// A sign of life for streams that may have nothing to send for a long time.

/** Proxies close connections that are idle for about a minute, and clients give up after some minutes. */
const HEARTBEAT_MS = 15_000

/**
 * Yields the items, and `beat` after each HEARTBEAT_MS without one.
 * @param until ends the stream when it aborts, but never before the first item.
 */
export async function* withHeartbeats<T>(
  items: AsyncGenerator<T>,
  beat: T,
  until: AbortSignal,
  ms = HEARTBEAT_MS,
): AsyncGenerator<T> {
  let next = nextOf(items)
  try {
    do {
      const result = await within(ms, next)
      if (result === undefined) yield beat
      else if (result.done) return
      else {
        yield result.value
        next = nextOf(items)
      }
    } while (!until.aborted)
  } finally {
    await items.return(undefined)
  }
}

/** The consumer may return before this promise settles; ignore its rejection. */
function nextOf<T>(items: AsyncGenerator<T>): Promise<IteratorResult<T>> {
  const next = items.next()
  next.catch(() => undefined)
  return next
}

/** The value of the promise; undefined when it does not settle in time. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
