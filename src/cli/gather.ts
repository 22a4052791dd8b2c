// Groups the items of an async iterable that are available together.

/**
 * A group ends when the next item is not yet available, so a single item is not delayed.
 * @yields groups of 1 to `maxItems` items, in order.
 */
export async function* gather<T>(items: AsyncIterable<T>, maxItems: number): AsyncGenerator<T[]> {
  const iterator = items[Symbol.asyncIterator]()
  const advance = () => {
    const next = iterator.next()
    // The promise is awaited later; until then its rejection must not count as unhandled.
    next.catch(() => undefined)
    return next
  }
  let next = advance()
  for (;;) {
    const first = await next
    if (first.done) return
    const group = [first.value]
    next = advance()
    // Items that are already in memory arrive before the next turn of the event loop.
    const nextTurn = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))
    while (group.length < maxItems) {
      const more = await Promise.race([next.catch(() => undefined), nextTurn])
      if (!more || more.done) break
      group.push(more.value)
      next = advance()
    }
    yield group
  }
}
