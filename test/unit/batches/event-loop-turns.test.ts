// Whoever has much to do takes turns, and requests come in between.
import { expect, it } from 'vitest'
import { EventLoopTurns } from '../../../src/batches/event-loop-turns.ts'

it('gives one turn in a turn of the event loop, in the order in which they were asked for', async () => {
  const turns = new EventLoopTurns()
  const happened: string[] = []
  const batch = async (name: string) => {
    for (let piece = 0; piece < 2; piece += 1) {
      await turns.wait()
      happened.push(name)
    }
  }
  const people = async () => {
    for (let request = 0; request < 4; request += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      happened.push('-')
    }
  }
  await Promise.all([batch('a'), batch('b'), people()])
  expect(happened.join('')).toBe('a-b-a-b-')
})

it('gives a turn to whoever comes when nobody waits', async () => {
  const turns = new EventLoopTurns()
  await turns.wait()
  await turns.wait()
})
