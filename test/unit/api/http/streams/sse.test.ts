import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Streamed } from '../../../../../src/api/http/route.ts'
import { type ServerEvent, sseReply } from '../../../../../src/api/http/streams/sse.ts'

const unhandled: unknown[] = []
const onUnhandled = (error: unknown) => void unhandled.push(error)
beforeEach(() => void process.on('unhandledRejection', onUnhandled))
afterEach(() => void process.off('unhandledRejection', onUnhandled))

async function textOf(events: AsyncGenerator<ServerEvent>, shutdown: AbortSignal): Promise<string> {
  let text = ''
  for await (const chunk of (sseReply(events, shutdown).body as Streamed).content) text += String(chunk)
  return text
}

/** Yields one event; the second read fails. */
async function* oneThenFailure(): AsyncGenerator<ServerEvent> {
  yield { event: 'progress', data: { row: 1 } }
  throw new Error('Redis is away')
}

it('an error of the events rejects the read of the stream', async () => {
  const { signal } = new AbortController()
  await expect(textOf(oneThenFailure(), signal)).rejects.toThrow('Redis is away')
})

it('an error after the stream ends is not an unhandled rejection', async () => {
  const shutdown = new AbortController()
  const { content } = sseReply(oneThenFailure(), shutdown.signal).body as Streamed
  const chunks = content[Symbol.asyncIterator]()
  expect((await chunks.next()).value).toContain('event: progress')
  shutdown.abort()
  expect((await chunks.next()).done).toBe(true)
  // Node emits unhandledRejection after the microtasks.
  await new Promise((resolve) => setImmediate(resolve))
  expect(unhandled).toEqual([])
})
