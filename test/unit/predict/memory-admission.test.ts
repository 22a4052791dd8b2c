import { expect, it } from 'vitest'
import { OverloadedError } from '../../../src/predict/admission.ts'
import { admitMemory, hasMemory, memoryWarning, ownerMemoryLimit } from '../../../src/predict/memory-admission.ts'

const MB = 1_048_576

function contextAt(share: number) {
  const reasons: string[] = []
  const memory = { share, used: share * 512 * MB, limit: 512 * MB, add: (bytes: number) => void (memory.used += bytes) }
  return {
    reasons,
    memory,
    metrics: { refused: { inc: ({ reason }: { reason: string }) => void reasons.push(reason) } },
  }
}

it('refuses predictions before chunks of batches, and those before plain calls', () => {
  const uses = ['kept', 'chunk', 'plain'] as const
  const accepted = (share: number) => uses.filter((use) => hasMemory({ share }, use))
  expect(accepted(0.59)).toEqual(['kept', 'chunk', 'plain'])
  expect(accepted(0.61)).toEqual(['chunk', 'plain'])
  expect(accepted(0.76)).toEqual(['plain'])
  expect(accepted(0.86)).toEqual([])
})

it('refuses with a 429 that states what is full', () => {
  const { reasons, ...context } = contextAt(0.72)
  expect(() => admitMemory(context, 'plain')).not.toThrow()
  let refused: unknown
  try {
    admitMemory(context, 'kept', 1_000)
  } catch (error) {
    refused = error
  }
  expect(refused).toBeInstanceOf(OverloadedError)
  expect(refused).toMatchObject({ status: 429, reason: 'redis_full' })
  expect((refused as Error).message).toContain('72 %')
  expect((refused as Error).message).toContain('369 MB of 512 MB')
  expect(reasons).toEqual(['redis_full'])
})

it('counts what it accepts at once, before the next sample', () => {
  const context = contextAt(0.1)
  admitMemory(context, 'kept', 5 * MB)
  expect(context.memory.used).toBeCloseTo(0.1 * 512 * MB + 5 * MB)
})

it('warns while predictions are refused', () => {
  expect(memoryWarning(contextAt(0.5).memory)).toBeUndefined()
  expect(memoryWarning(contextAt(0.65).memory)).toContain('new predictions and batches are refused')
  expect(memoryWarning(contextAt(0.9).memory)).toContain('all new work is refused')
})

it('gives one owner two thirds of the room, by weight, and no limit without a limit of Redis', () => {
  const limit = 1_000 * MB
  // The owner alone holds what is used, up to two thirds of the 600 MB.
  expect(ownerMemoryLimit({ used: 399 * MB, limit }, 1)).toBeGreaterThan(399 * MB)
  expect(ownerMemoryLimit({ used: 401 * MB, limit }, 1)).toBeLessThan(401 * MB)
  expect(ownerMemoryLimit({ used: 401 * MB, limit }, 2)).toBeGreaterThan(401 * MB)
  expect(ownerMemoryLimit({ used: 700 * MB, limit }, 1)).toBe(0)
  expect(ownerMemoryLimit({ used: 700 * MB, limit: 0 }, 1)).toBe(Number.MAX_SAFE_INTEGER)
})
