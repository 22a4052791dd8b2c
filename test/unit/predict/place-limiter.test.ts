import { expect, test } from 'vitest'
import { PlaceLimiter } from '../../../src/predict/place-limiter.ts'

function takeAll(places: PlaceLimiter, owner: string, weight = 1): (() => void)[] {
  const taken: (() => void)[] = []
  for (let release = places.take(owner, weight); release; release = places.take(owner, weight)) taken.push(release)
  return taken
}

test('a single owner may hold every place', () => {
  const places = new PlaceLimiter(9, () => 1)
  expect(takeAll(places, 'a')).toHaveLength(9)
  expect(places.held()).toBe(9)
})

test('an owner that takes all it gets leaves a share for every later one', () => {
  const places = new PlaceLimiter(90, () => 10)
  expect(takeAll(places, 'a')).toHaveLength(60)
  expect(takeAll(places, 'b')).toHaveLength(20)
  expect(takeAll(places, 'c').length).toBeGreaterThan(5)
})

test('an owner of twice the weight may hold more', () => {
  const [light, heavy] = [new PlaceLimiter(90, () => 2), new PlaceLimiter(90, () => 2)]
  expect(takeAll(heavy, 'a', 2).length).toBeGreaterThan(takeAll(light, 'a').length)
})

test('a place that is returned twice counts once', () => {
  const places = new PlaceLimiter(2, () => 1)
  const [first, second] = takeAll(places, 'a')
  first?.()
  first?.()
  expect(places.held('a')).toBe(1)
  expect(takeAll(places, 'a')).toHaveLength(1)
  second?.()
})

test('the last free place goes to an owner that has none', () => {
  const places = new PlaceLimiter(3, () => 2)
  takeAll(places, 'a')
  expect(places.held('a')).toBe(2)
  expect(places.take('b')).toBeDefined()
  expect(places.take('c')).toBeUndefined()
})
