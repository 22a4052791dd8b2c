import { expect, it } from 'vitest'
import { Failures } from '../../../src/batches/coordinator.ts'

it('are too many after fifteen in a row', () => {
  const failures = new Failures()
  for (let count = 1; count <= 15; count += 1) {
    expect([count, failures.tooMany]).toEqual([count, false])
    failures.add(1_000)
  }
  expect(failures.tooMany).toBe(true)
})

it('are not too many when it ran for long in between', () => {
  const failures = new Failures()
  for (let hour = 0; hour < 48; hour += 1) {
    for (let count = 0; count < 13; count += 1) failures.add(1_000)
    failures.add(3_600_000)
    expect(failures.tooMany).toBe(false)
  }
})
