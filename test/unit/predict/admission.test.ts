import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkLimits, expectedWait, OverloadedError } from '../../../src/predict/admission.ts'

const idle = { texts: 0, capacity: 100, waitingCalls: 0 }
const limits = { maxWaiting: 512, maxQueue: 15_000 }

function refusal(load: Partial<typeof idle>, random = 0): OverloadedError {
  try {
    checkLimits({ ...idle, ...load }, limits, random)
  } catch (error) {
    return error as OverloadedError
  }
  throw new Error('was let in')
}

describe('admit', () => {
  it('lets in what will be answered in time', () => {
    expect(() => checkLimits({ ...idle, texts: 1_500 }, limits, 0)).not.toThrow()
  })

  it('refuses with 429 and the seconds until there is room', () => {
    const error = refusal({ texts: 2_000 })
    expect(error).toBeInstanceOf(OverloadedError)
    expect([error.status, error.reason, error.headers['Retry-After']]).toEqual([429, 'queue_full', '5'])
  })

  it('refuses when too many wait in this process', () => {
    expect(refusal({ waitingCalls: 512 }).reason).toBe('too_many_waiting')
  })

  it('knows nothing of a fleet that has not measured itself, and lets in', () => {
    expect(expectedWait({ texts: 1e6, capacity: 0 })).toBe(0)
    expect(() => checkLimits({ ...idle, texts: 1e6, capacity: 0 }, limits, 0)).not.toThrow()
  })

  it('always says a whole number of seconds from 1 to 30', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2_000, max: 1e7 }), fc.double({ min: 0, max: 1, noNaN: true }), (texts, random) => {
        const seconds = Number(refusal({ texts }, random).headers['Retry-After'])
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 30).toBe(true)
      }),
    )
  })
})
