// Takes what has come, and waits for no more: a lone item goes on at once, a crowd goes on together.

/** @yields groups of at most `most` items, in order; never an empty one. */
export async function* gather<T>(items: AsyncIterable<T>, most: number): AsyncGenerator<T[]> {
  const iterator = items[Symbol.asyncIterator]()
  const advance = () => {
    const next = iterator.next()
    // It is waited for later; until then its failure is nobody's.
    next.catch(() => undefined)
    return next
  }
  let next = advance()
  for (;;) {
    const first = await next
    if (first.done) return
    const group = [first.value]
    next = advance()
    // What is already in memory arrives before the event loop's next turn.
    const turn = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))
    while (group.length < most) {
      const more = await Promise.race([next.catch(() => undefined), turn])
      if (!more || more.done) break
      group.push(more.value)
      next = advance()
    }
    yield group
  }
}
