// Iteration over pages.
import type { Page } from '../types.ts'

/** @param read returns the page after an id, or the first one. @yields the items of all pages. */
export async function* allOf<T extends { id: string }>(
  read: (after: string | undefined) => Promise<Page<T>>,
): AsyncGenerator<T, void> {
  for (let after: string | undefined; ; ) {
    const { data, has_more: hasMore } = await read(after)
    yield* data
    after = data.at(-1)?.id
    if (!hasMore || after === undefined) return
  }
}
