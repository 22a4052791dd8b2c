import { expect, it } from 'vitest'
import { CanceledIds } from '../../../src/queue/cancellations.ts'

it('calls every listener of an id, and removes one without the others', () => {
  const ids = new CanceledIds()
  const called: string[] = []
  const removeFirst = ids.listen('x', () => called.push('first'))
  const removeSecond = ids.listen('x', () => called.push('second'))
  ids.listen('y', () => called.push('other'))
  ids.add('x')
  expect(called).toEqual(['first', 'second'])

  removeFirst()
  ids.add('x')
  expect(called).toEqual(['first', 'second', 'second'])

  removeSecond()
  removeSecond()
  ids.add('x')
  expect(called).toHaveLength(3)
})

it('keeps an id that is canceled before its job arrives for 30 seconds', () => {
  let now = 1_000
  const ids = new CanceledIds(() => now)
  ids.add('early')
  now += 29_999
  ids.add('late')
  expect([ids.has('early'), ids.has('late')]).toEqual([true, true])
  now += 1
  ids.add('later')
  expect([ids.has('early'), ids.has('late')]).toEqual([false, true])
})
