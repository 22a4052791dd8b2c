import { expect, it } from 'vitest'
import { Failures } from '../../../src/batches/coordinator.ts'

it('has too many failures after 15 consecutive ones', () => {
  const failures = new Failures()
  for (let count = 1; count <= 15; count += 1) {
    expect([count, failures.tooMany]).toEqual([count, false])
    failures.add(1_000)
  }
  expect(failures.tooMany).toBe(true)
})

it('resets the count of failures after a long run', () => {
  const failures = new Failures()
  for (let hour = 0; hour < 48; hour += 1) {
    for (let count = 0; count < 13; count += 1) failures.add(1_000)
    failures.add(3_600_000)
    expect(failures.tooMany).toBe(false)
  }
})
