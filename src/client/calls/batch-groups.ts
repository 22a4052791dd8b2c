// Groups of an iterable's items, each of which becomes a batch.
import type { PredictInput, PredictResult } from '../types.ts'

export interface GroupOptions<Item> {
  inputOf: (item: Item) => PredictInput
  /** Members of each line's body, next to `inputs`. */
  members: Record<string, unknown>
  maxRows: number
  maxBytes: number
  /** Bytes of the body of a line; a longer one would fail the whole batch. */
  maxLineBytes: number
  signal: AbortSignal
}

/** An item, and its result if it is known without the server. */
interface GroupItem<Item> {
  item: Item
  result?: PredictResult
}

export interface Group<Item> {
  items: GroupItem<Item>[]
  /** The lines of the items without a result. */
  lines: Uint8Array<ArrayBuffer>[]
}

/** @yields groups that are not empty. An item is read only when a group needs it. */
export async function* groupsOf<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  { inputOf, members, maxRows, maxBytes, maxLineBytes, signal }: GroupOptions<Item>,
): AsyncGenerator<Group<Item>> {
  const encoder = new TextEncoder()
  let group: Group<Item> = { items: [], lines: [] }
  let bytes = 0
  let number = 0
  for await (const item of abortable(items, signal)) {
    const body = { inputs: [inputOf(item)], ...members }
    const line = encoder.encode(`${JSON.stringify({ custom_id: String(number++), body })}\n`)
    if (line.length > maxLineBytes) {
      group.items.push({ item, result: { error: `the text is over the server's limit of ${maxLineBytes} bytes` } })
    } else {
      if (bytes > 0 && bytes + line.length > maxBytes) {
        yield group
        group = { items: [], lines: [] }
        bytes = 0
      }
      group.items.push({ item })
      group.lines.push(line)
      bytes += line.length
    }
    if (group.items.length === maxRows) {
      yield group
      group = { items: [], lines: [] }
      bytes = 0
    }
  }
  if (group.items.length > 0) yield group
}

/** Iterates until the signal aborts, also while the next item does not come. @throws the signal's reason. */
async function* abortable<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item, void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  aborted.catch(() => undefined)
  try {
    for (;;) {
      signal.throwIfAborted()
      const next = await Promise.race([iterator.next(), aborted])
      if (next.done) return
      yield next.value
    }
  } finally {
    // Not awaited: an iterator that waits for its next item ends later, or never.
    Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}
