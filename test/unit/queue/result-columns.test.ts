import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTextsResult, type TextsResult } from '../../../src/queue/job.ts'
import { encodeResult, RESULT_VERSION, storedBytes } from '../../../src/queue/result-columns.ts'

const head = { outcome: 'done' as const, revision: 'r', worker: 'w', startedAt: 1_700_000_000_000 }
const logit = fc
  .float({ noNaN: true, noDefaultInfinity: true })
  .map((value) => Number(Math.fround(value).toPrecision(9)))
const ms = fc.record({
  queue: fc.integer({ min: 0, max: 1e6 }),
  tokenize: fc.integer({ min: 0, max: 1e5 }).map((each) => each / 100),
  infer: fc.integer({ min: 0, max: 1e5 }).map((each) => each / 100),
})

function answered(labels: number) {
  return fc.record(
    {
      logits: fc.array(logit, { minLength: labels, maxLength: labels }),
      tokens: fc.integer({ min: 0, max: 1e6 }),
      truncated: fc.constant(true as const),
      ms,
      run: fc.integer({ min: 1, max: 1_000 }),
    },
    { requiredKeys: ['logits', 'tokens', 'ms', 'run'] },
  )
}

const failed = fc.record({
  error: fc.record({ code: fc.constantFrom('Tokenizer' as const, 'Validation' as const), message: fc.string() }),
})
const rows = fc.integer({ min: 1, max: 5 }).chain((labels) => fc.array(fc.oneof(answered(labels), failed)))

const throughRedis = (result: TextsResult, version: number) =>
  parseTextsResult(JSON.parse(JSON.stringify(encodeResult(result, version))))

describe('a result', () => {
  it('is the same after it was stored, in both versions', () => {
    fc.assert(
      fc.property(rows, fc.constantFrom(1, RESULT_VERSION), (given, version) => {
        const result = { ...head, rows: given }
        // JSON has no negative zero.
        expect(throughRedis(result, version)).toEqual(JSON.parse(JSON.stringify(result)))
      }),
    )
  })

  it('has objects in version 1, which earlier apis read', () => {
    const result: TextsResult = {
      ...head,
      rows: [{ logits: [0.5], tokens: 3, ms: { queue: 1, tokenize: 0, infer: 2 }, run: 1 }],
    }
    expect(encodeResult(result, 1)).toEqual(result)
    expect(parseTextsResult(result)).toEqual(result)
  })

  it('takes an eighth of the memory, and never more than is reserved for it', () => {
    const row = (index: number) => ({
      logits: [
        Number(Math.fround(Math.sin(index) * 7).toPrecision(9)),
        Number(Math.fround(Math.cos(index)).toPrecision(9)),
      ],
      tokens: 10 + (index % 50),
      ms: { queue: 1_234, tokenize: 1.25 + (index % 16), infer: 20.5 },
      run: 64,
    })
    const result: TextsResult = { ...head, rows: Array.from({ length: 1_000 }, (_, index) => row(index)) }
    const [before, after] = [1, RESULT_VERSION].map((version) => JSON.stringify(encodeResult(result, version)).length)
    expect(after).toBeLessThan((before ?? 0) / 5)
    expect(after).toBeLessThan(storedBytes(1_000, 2, RESULT_VERSION))
    expect(before).toBeLessThan(storedBytes(1_000, 2, 1))
  })

  it('of an unknown version is an error that says so', () => {
    const stored = {
      ...encodeResult({ ...head, rows: [{ error: { code: 'Backend', message: 'm' } }] }, 2),
      v: 3,
    }
    expect(() => parseTextsResult(stored)).toThrow('newer version')
  })
})
