import { expect, it } from 'vitest'
import { RequestTurns } from '../../../../../src/api/http/guards/request-turns.ts'

const iteration = () => new Promise((resolve) => setImmediate(resolve))

it('owners take turns, a few requests per iteration of the event loop', async () => {
  const turns = new RequestTurns(() => 2)
  let handled = ''
  for (let index = 0; index < 40; index += 1) turns.take('a', () => (handled += 'a'))
  for (let index = 0; index < 3; index += 1) turns.take('b', () => (handled += 'b'))
  expect(handled).toBe('aaaaaaaa')
  await iteration()
  expect(handled).toBe('aaaaaaaaabababaa')
  for (let index = 0; index < 10; index += 1) await iteration()
  expect(handled).toHaveLength(43)
})

it('a request that comes alone is handled immediately', async () => {
  const turns = new RequestTurns(() => 2)
  let handled = 0
  for (let index = 0; index < 30; index += 1) {
    turns.take('a', () => (handled += 1))
    expect(handled).toBe(index + 1)
    await iteration()
  }
})

it('one owner has no turns to take', () => {
  const turns = new RequestTurns(() => 1)
  let handled = 0
  for (let index = 0; index < 30; index += 1) turns.take('a', () => (handled += 1))
  expect(handled).toBe(30)
})
