// The rows of a batch in the page: labels, errors, filters, order, histogram.
import { expect, it } from 'vitest'
import { FAILED, histogramOf, parseResult, RowStore, textOf } from '../../../web/batches/results/row-store.js'
import { canRetry, doneOf, hasEnded, nameOf, stateOf } from '../../../web/batches/state.js'

const answered = (body: unknown) => JSON.stringify({ response: { status_code: 200, body }, error: null })
const scored = (label: string, score: number) =>
  answered([
    [
      { label, score },
      { label: 'other', score: 1 - score },
    ],
  ])
const refused = JSON.stringify({
  response: { status_code: 422, body: { error: { message: 'is empty' } } },
  error: null,
})
const unanswered = JSON.stringify({ response: null, error: { code: 'batch_expired', message: 'expired' } })

it('reads the best label of each shape of an answer', () => {
  const best = { label: 'a', score: 0.75, error: undefined }
  expect(parseResult(scored('a', 0.75))).toEqual(best)
  expect(
    parseResult(
      answered([
        { label: 'b', score: 0.25 },
        { label: 'a', score: 0.75 },
      ]),
    ),
  ).toEqual(best)
  expect(parseResult(refused)).toMatchObject({ label: undefined, error: 'is empty' })
  expect(parseResult(unanswered)).toMatchObject({ label: undefined, error: 'expired' })
})

it('reads the text of each shape of a request', () => {
  const line = (body: object) => textOf(JSON.stringify({ custom_id: '1', body }))
  expect(line({ inputs: 'a' })).toBe('a')
  expect(line({ text: 'a' })).toBe('a')
  expect(line({ inputs: [['a', 'b']] })).toBe('a / b')
  expect(line({ inputs: ['a', 'b', 'c'] })).toBe('a (and 2 more)')
  expect(textOf('{"custom_id": "cut o')).toBe('')
})

it('filters and orders rows; failed ones come last', () => {
  const store = new RowStore()
  for (const line of [scored('a', 0.9), refused, scored('b', 0.6), scored('a', 0.7)]) store.addResult(line)
  expect(store.select({ label: '', order: 'row' })).toEqual([0, 1, 2, 3])
  expect(store.select({ label: '', order: 'lowest' })).toEqual([2, 3, 0, 1])
  expect(store.select({ label: '', order: 'highest' })).toEqual([0, 3, 2, 1])
  expect(store.select({ label: 'a', order: 'lowest' })).toEqual([3, 0])
  expect(store.select({ label: FAILED, order: 'row' })).toEqual([1])
  expect([...store.counts, store.failed]).toEqual([['a', 2], ['b', 1], 1])
  const { low, high, counts } = histogramOf(store, [0, 1, 2, 3], 10)
  expect([low, high, counts]).toEqual([0, 1, [0, 0, 0, 0, 0, 0, 1, 1, 0, 1]])
})

it('keeps no more of a text than is shown', () => {
  const store = new RowStore()
  store.addInput(JSON.stringify({ custom_id: '1', body: { inputs: 'x'.repeat(10_000) } }))
  expect(store.texts[0]).toHaveLength(300)
})

it('knows the states of a batch', () => {
  const batch = (status: string, total: number, completed: number, failed: number) => ({
    id: 'batch_1',
    status,
    metadata: null,
    request_counts: { total, completed, failed },
  })
  expect(nameOf(batch('completed', 1, 1, 0))).toBe('batch_1')
  expect(nameOf({ ...batch('completed', 1, 1, 0), metadata: { name: 'a.csv' } })).toBe('a.csv')
  expect([doneOf(batch('in_progress', 9, 2, 1)), hasEnded(batch('in_progress', 9, 2, 1))]).toEqual([3, false])
  expect(canRetry(batch('completed', 3, 3, 0))).toBe(false)
  expect(canRetry(batch('completed', 3, 2, 1))).toBe(true)
  expect(canRetry(batch('cancelled', 3, 2, 0))).toBe(true)
  expect(canRetry(batch('in_progress', 3, 2, 1))).toBe(false)
  for (const status of ['validating', 'in_progress', 'completed', 'failed', 'expired', 'cancelled']) {
    expect(stateOf({ status })).toHaveLength(2)
  }
})
