import { expect, it } from 'vitest'
import { RequestTurns } from '../../../../../src/api/http/guards/request-turns.ts'

const iterations = async (count: number) => {
  for (let index = 0; index < count; index += 1) await new Promise((resolve) => setImmediate(resolve))
}

it('owners take turns, one request per iteration of the event loop', async () => {
  const turns = new RequestTurns(2)
  const handled: string[] = []
  for (let index = 0; index < 5; index += 1) turns.take('a', () => handled.push('a'))
  turns.take('b', () => handled.push('b'))
  turns.take('b', () => handled.push('b'))
  expect(handled.join('')).toBe('a')
  await iterations(3)
  expect(handled.join('').slice(0, 3)).toMatch(/^aab|^aba/)
  await iterations(10)
  expect(handled.join('')).toMatch(/^aa?ba?ba+$/)
  expect(handled).toHaveLength(7)
})

it('a request that comes alone is handled immediately', async () => {
  const turns = new RequestTurns(2)
  let handled = 0
  for (let index = 0; index < 3; index += 1) {
    turns.take('a', () => (handled += 1))
    expect(handled).toBe(index + 1)
    await iterations(2)
  }
})

it('one owner has no turns to take', () => {
  const turns = new RequestTurns(1)
  let handled = 0
  for (let index = 0; index < 3; index += 1) turns.take('a', () => (handled += 1))
  expect(handled).toBe(3)
})
