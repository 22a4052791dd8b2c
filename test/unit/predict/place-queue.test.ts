import { expect, it } from 'vitest'
import { PlaceQueue } from '../../../src/predict/place-queue.ts'

const never = new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))

it('a free place goes to the owner that holds the fewest', async () => {
  const places = new PlaceQueue(2)
  const granted: string[] = []
  const ask = async (owner: string) => {
    const release = await places.acquire(owner, never)
    granted.push(owner)
    return release
  }
  const [first, second] = await Promise.all([ask('a'), ask('a')])
  const third = ask('a')
  void ask('b')
  await settled()
  expect([granted.join(''), places.taken]).toEqual(['aa', 2])
  first()
  first()
  await settled()
  expect(granted.join('')).toBe('aab')
  second()
  await third
  expect([granted.join(''), places.taken]).toEqual(['aaba', 2])
})

it('an owner with its places waits, and others do not', async () => {
  const places = new PlaceQueue(3, 1)
  const [first] = await Promise.all([places.acquire('a', never), places.acquire('b', never)])
  let granted = false
  void places.acquire('a', never).then(() => (granted = true))
  await settled()
  expect([granted, places.taken]).toEqual([false, 2])
  first()
  await settled()
  expect([granted, places.taken]).toEqual([true, 2])
})

it('a wait that is aborted rejects with the reason, and takes no place', async () => {
  const places = new PlaceQueue(1)
  const release = await places.acquire('a', never)
  const abort = new AbortController()
  const waiting = places.acquire('b', abort.signal)
  abort.abort(new Error('stopped'))
  await expect(waiting).rejects.toThrow('stopped')
  await expect(places.acquire('b', abort.signal)).rejects.toThrow('stopped')
  release()
  expect(places.taken).toBe(0)
})
