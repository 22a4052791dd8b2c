// Output rows: the columns of the input, then the labels or the error.
import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { ResultWriter, type ResultWriterOptions } from '../../../../src/cli/batch/result-writer.ts'
import type { BatchLine } from '../../../../src/client/types.ts'

const scores = [
  { label: 'good', score: 0.75 },
  { label: 'bad', score: 0.25 },
]
const ok = (body: unknown): BatchLine => ({
  id: '1',
  custom_id: 'row-1',
  response: { status_code: 200, request_id: 'r', body },
  error: null,
})
const failed = (status: number, body: unknown): BatchLine => ({
  ...ok(body),
  response: { status_code: status, request_id: 'r', body },
})
const cancelled: BatchLine = {
  ...ok(null),
  response: null,
  error: { code: 'batch_cancelled', message: 'was cancelled' },
}

function written(fields: Record<string, unknown>, line: BatchLine, more: Partial<ResultWriterOptions> = {}) {
  const writer = new ResultWriter({
    format: 'jsonl',
    verbatim: false,
    names: Object.keys(fields),
    topK: undefined,
    ...more,
  })
  const request = { custom_id: 'row-1', method: 'POST', url: '/predict', body: {} }
  return { header: writer.header, text: writer.format([{ row: { request, fields, end: 0 }, line }]) }
}

describe('JSONL', () => {
  const json = (...args: Parameters<typeof written>) => JSON.parse(written(...args).text) as unknown

  it('has the best label, its score, and all scores', () => {
    expect(json({ text: 'a', n: 1 }, ok(scores))).toEqual({ text: 'a', n: 1, label: 'good', score: 0.75, scores })
  })

  it('has no list of scores for a top-k of 1', () => {
    expect(json({ text: 'a' }, ok(scores.slice(0, 1)), { topK: 1 })).toEqual({ text: 'a', label: 'good', score: 0.75 })
  })

  it('accepts the nested list of a pair', () => {
    expect(json({ text: 'a' }, ok([scores]))).toMatchObject({ label: 'good' })
  })

  it('keeps members of the input with the same name', () => {
    expect(json({ text: 'a', label: 'truth' }, ok(scores))).toMatchObject({ label: 'truth', predicted_label: 'good' })
  })

  it.each([
    ['an error of the batch', cancelled, 'was cancelled'],
    ["OpenAI's shape", failed(404, { error: { message: 'no such model' } }), 'no such model'],
    ['a problem document', failed(422, { detail: 'is empty' }), 'is empty'],
    ['an unknown body', failed(500, null), 'the server returned status 500'],
  ])('has the error instead of a label: %s', (_what, line, error) => {
    expect(json({ text: 'a' }, line)).toEqual({ text: 'a', error })
  })

  it("writes the lines of the server unchanged for OpenAI's batch lines", () => {
    expect(json({ custom_id: 'row-1' }, cancelled, { verbatim: true })).toEqual(cancelled)
  })
})

describe('CSV', () => {
  const csv = (fields: Record<string, unknown>, line: BatchLine, more: Partial<ResultWriterOptions> = {}) => {
    const { header, text } = written(fields, line, { format: 'csv', ...more })
    return parse(header + text)
  }

  it('has the columns of the input, label, score and error', () => {
    expect(csv({ text: 'a, "b"\nc' }, ok(scores))).toEqual([
      ['text', 'label', 'score', 'error'],
      ['a, "b"\nc', 'good', '0.75', ''],
    ])
  })

  it('has columns for the requested number of labels', () => {
    expect(csv({ text: 'a' }, ok(scores), { topK: 3 })).toEqual([
      ['text', 'label', 'score', 'label_2', 'score_2', 'label_3', 'score_3', 'error'],
      ['a', 'good', '0.75', 'bad', '0.25', '', '', ''],
    ])
  })

  it('writes other values than strings as JSON, and missing ones as empty cells', () => {
    const more = { names: ['n', 'list', 'none'] }
    expect(csv({ n: 1, list: ['x'] }, cancelled, more)[1]).toEqual(['1', '["x"]', '', '', '', 'was cancelled'])
  })

  it('prefixes its columns by predicted_ when the input has one of them', () => {
    expect(csv({ score: '5' }, ok(scores))[0]).toEqual([
      'score',
      'predicted_label',
      'predicted_score',
      'predicted_error',
    ])
  })
})
