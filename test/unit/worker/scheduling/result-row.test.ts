import fc from 'fast-check'
import { expect, it } from 'vitest'
import { emptyColumns } from '../../../../src/worker/inference/ipc.ts'
import { rowOf } from '../../../../src/worker/scheduling/result-row.ts'

it('has the values of its text', () => {
  const columns = emptyColumns(2, 2)
  columns.logits.set([0.1, 0.2, 0.3, 0.4])
  columns.tokens.set([3, 512])
  columns.truncated.set([0, 1])
  columns.batchSize.set([1, 2])
  columns.inferMs.set([1.23456, 2])
  columns.tokenizeMs = 0.126
  expect(rowOf(columns, 0, 2, undefined, 7)).toEqual({
    logits: [0.100000001, 0.200000003],
    tokens: 3,
    ms: { queue: 7, tokenize: 0.13, infer: 1.23 },
    run: 1,
  })
  expect(rowOf(columns, 1, 2, undefined, 7)).toMatchObject({ truncated: true, run: 2, tokens: 512 })
})

it('has the error of its text', () => {
  const error = { code: 'Backend' as const, message: 'no' }
  expect(rowOf(emptyColumns(1, 2), 0, 1, error, 0)).toEqual({ error })
})

it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('is an error when a logit is %s', (logit) => {
  const columns = emptyColumns(2, 2)
  columns.logits.set([0.5, logit, 0.25, 0.75])
  expect(rowOf(columns, 0, 2, undefined, 0)).toMatchObject({ error: { code: 'Backend' } })
  expect(rowOf(columns, 1, 2, undefined, 0)).toMatchObject({ logits: [0.25, 0.75] })
})

it('keeps every float32 exactly', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (logit) => {
      const columns = emptyColumns(1, 1)
      columns.logits[0] = logit
      const row = rowOf(columns, 0, 1, undefined, 0)
      if (!('logits' in row)) throw new Error('a row was expected')
      const restored: unknown = JSON.parse(JSON.stringify(row.logits))
      expect(Math.fround((restored as number[])[0] ?? Number.NaN) + 0).toBe(logit + 0)
    }),
  )
})
