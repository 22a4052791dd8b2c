import { describe, expect, it } from 'vitest'
import { withHeartbeats } from '../../../../../src/api/http/streams/heartbeat.ts'

const never = new AbortController().signal

async function* lines(...texts: string[]): AsyncGenerator<string> {
  yield* texts
}

async function collect(items: AsyncGenerator<string>): Promise<string[]> {
  const all: string[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('withHeartbeats', () => {
  it('passes items on without a beat while they arrive', async () => {
    expect(await collect(withHeartbeats(lines('a', 'b'), '\n', never))).toEqual(['a', 'b'])
  })

  it('yields beats while no item arrives, and loses no item', async () => {
    let arrive = (): void => undefined
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    async function* slow(): AsyncGenerator<string> {
      yield 'a'
      await arrived
      yield 'b'
    }
    const all = withHeartbeats(slow(), '\n', never, 1)
    expect((await all.next()).value).toBe('a')
    expect((await all.next()).value).toBe('\n')
    expect((await all.next()).value).toBe('\n')
    arrive()
    expect((await collect(all)).filter((item) => item !== '\n')).toEqual(['b'])
  })

  it('after the signal has aborted, yields the first item alone', async () => {
    expect(await collect(withHeartbeats(lines('a', 'b'), '\n', AbortSignal.abort()))).toEqual(['a'])
  })

  it('ends its source when its consumer stops', async () => {
    let ended = false
    async function* source(): AsyncGenerator<string> {
      try {
        for (;;) yield 'a'
      } finally {
        ended = true
      }
    }
    for await (const item of withHeartbeats(source(), '\n', never)) if (item === 'a') break
    expect(ended).toBe(true)
  })
})
