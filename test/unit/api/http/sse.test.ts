import { afterEach, beforeEach, expect, it } from 'vitest'
import { sseReply, type ServerEvent } from '../../../../src/api/http/sse.ts'
import type { Streamed } from '../../../../src/api/http/route.ts'

const unhandled: unknown[] = []
const onUnhandled = (error: unknown) => void unhandled.push(error)
beforeEach(() => void process.on('unhandledRejection', onUnhandled))
afterEach(() => void process.off('unhandledRejection', onUnhandled))

async function textOf(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): Promise<string> {
  let text = ''
  for await (const piece of (sseReply(events, closing).body as Streamed).content) text += String(piece)
  return text
}

/** The first event; then whatever is asked for fails. */
async function* oneThenFailure(): AsyncGenerator<ServerEvent> {
  yield { event: 'progress', data: { row: 1 } }
  throw new Error('Redis is away')
}

it('are told one after the other, and what fails is thrown to whoever listens', async () => {
  const { signal } = new AbortController()
  await expect(textOf(oneThenFailure(), signal)).rejects.toThrow('Redis is away')
})

it('that fail when nobody listens any more are no unhandled rejection', async () => {
  const closing = new AbortController()
  const { content } = sseReply(oneThenFailure(), closing.signal).body as Streamed
  const pieces = content[Symbol.asyncIterator]()
  expect((await pieces.next()).value).toContain('event: progress')
  closing.abort()
  expect((await pieces.next()).done).toBe(true)
  // Node tells of it once the microtasks are done.
  await new Promise((resolve) => setImmediate(resolve))
  expect(unhandled).toEqual([])
})
