import { expect, it } from 'vitest'
import { ReceiverPlaces } from '../../../src/webhooks/receiver-places.ts'

const places = (owners: number) =>
  new ReceiverPlaces({ max: 12, maxOfReceiver: 4, owners: () => owners, weightOf: () => 1 })
const takeAll = (from: ReceiverPlaces, owner: string, host: string) => {
  const taken: (() => void)[] = []
  for (let place = from.take(owner, host); typeof place === 'function'; place = from.take(owner, host))
    taken.push(place)
  return taken
}

it('limits the places of a receiver, and returns them', () => {
  const limited = places(1)
  const taken = takeAll(limited, 'ann', 'slow.example')
  expect(taken).toHaveLength(4)
  expect(limited.take('ann', 'fast.example')).toBeTypeOf('function')
  taken[0]?.()
  taken[0]?.()
  expect(takeAll(limited, 'ann', 'slow.example')).toHaveLength(1)
})

it('leaves places for another owner, also at the same receiver', () => {
  const shared = places(2)
  for (const host of ['a', 'b', 'c', 'd']) takeAll(shared, 'ann', host)
  expect(shared.take('bob', 'a')).toBeTypeOf('function')
})

it('spreads deliveries that get no place', () => {
  const limited = places(1)
  takeAll(limited, 'ann', 'slow.example')
  const delays = Array.from({ length: 2_000 }, () => limited.take('ann', 'slow.example') as number)
  expect(delays[0]).toBeGreaterThanOrEqual(250)
  expect(delays[10]).toBeGreaterThan(delays[0] ?? 0)
  expect(Math.max(...delays)).toBeLessThanOrEqual(60_000)
  expect(delays.at(-1)).toBe(60_000)
})
