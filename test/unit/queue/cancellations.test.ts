import { expect, it } from 'vitest'
import { Cancellations } from '../../../src/queue/cancellations.ts'

it('calls every listener of an id, and removes one without the others', () => {
  const cancellations = new Cancellations()
  const called: string[] = []
  const removeFirst = cancellations.listen('x', () => called.push('first'))
  const removeSecond = cancellations.listen('x', () => called.push('second'))
  cancellations.listen('y', () => called.push('other'))
  cancellations.receive('x')
  expect(called).toEqual(['first', 'second'])

  removeFirst()
  cancellations.receive('x')
  expect(called).toEqual(['first', 'second', 'second'])

  removeSecond()
  removeSecond()
  cancellations.receive('x')
  expect(called).toHaveLength(3)
})

it('does not cancel a later job of the same id', () => {
  const cancellations = new Cancellations()
  cancellations.receive('x')
  const called: string[] = []
  cancellations.listen('x', () => called.push('later'))
  expect(called).toEqual([])
})
