// The hash of content that passes by.
import type { Hash } from 'node:crypto'

/** Yields the content, and adds it to the hash. */
export async function* digested(content: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const piece of content) {
    hash.update(piece)
    yield piece
  }
}
