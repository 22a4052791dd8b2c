import { expect, it } from 'vitest'
import { EventLoopTurns } from '../../../src/batches/event-loop-turns.ts'

it('resolves one wait per iteration of the event loop, in the order of the calls', async () => {
  const turns = new EventLoopTurns()
  const happened: string[] = []
  const batch = async (name: string) => {
    for (let piece = 0; piece < 2; piece += 1) {
      await turns.wait()
      happened.push(name)
    }
  }
  const requests = async () => {
    for (let request = 0; request < 4; request += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      happened.push('-')
    }
  }
  await Promise.all([batch('a'), batch('b'), requests()])
  expect(happened.join('')).toBe('a-b-a-b-')
})

it('resolves a wait after all earlier ones are resolved', async () => {
  const turns = new EventLoopTurns()
  await turns.wait()
  await turns.wait()
})
