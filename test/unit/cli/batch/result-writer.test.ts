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
  const content = { json: JSON.stringify(fields), names: Object.keys(fields) }
  return { header: writer.header, text: writer.format([{ row: { request, content, end: 0 }, line }]) }
}

function rowText(json: string, line: BatchLine, more: Partial<ResultWriterOptions> = {}): string {
  const names = Object.keys(JSON.parse(json) as object)
  const writer = new ResultWriter({ format: 'jsonl', verbatim: false, names, topK: undefined, ...more })
  const request = { custom_id: 'row-1', method: 'POST', url: '/predict', body: {} }
  return writer.header + writer.format([{ row: { request, content: { json, names }, end: 0 }, line }])
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
    ['{"id":1234567890123456789,"x":1.0,"y":1e400,"text":"a"}', ''],
    ['{ "text" : "a}, \\"", "nested": {"score": [1.50, {"a": "]"}]}, "__proto__": 1 }', ''],
    ['{"2":1,"1":2,"text":"a"}', ''],
    ['{"label":"t","predicted_score":1,"text":"a"}', 'predicted_2_'],
    ['{}', ''],
  ])('passes members through as they are: %s', (json, prefix) => {
    const text = rowText(json, ok(scores.slice(0, 1)), { topK: 1 })
    const start = json === '{}' ? '{' : `${json.replace(/ ?\}$/, '')},`
    expect(text).toBe(`${start}"${prefix}label":"good","${prefix}score":0.75}\n`)
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

  it.each([';', '\t'])('quotes what contains its delimiter %j', (delimiter) => {
    const { header, text } = written({ text: `a${delimiter}b, c` }, ok(scores), { format: 'csv', delimiter })
    expect(parse(header + text, { delimiter })[1]).toEqual([`a${delimiter}b, c`, 'good', '0.75', ''])
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

  it('writes numbers of JSONL with all their digits', () => {
    const json = '{"id": 1234567890123456789, "x": 1.0, "a": [1e400, "b,"], "t": "say \\"hi\\"", "n": null}'
    expect(parse(rowText(json, ok(scores), { format: 'csv' }))[1]).toEqual([
      '1234567890123456789',
      '1.0',
      '[1e400, "b,"]',
      'say "hi"',
      '',
      'good',
      '0.75',
      '',
    ])
  })

  it.each<[string[], number, string]>([
    [['label', 'predicted_label'], 1, 'predicted_2_'],
    [['label_2'], 2, 'predicted_'],
    [['label_2'], 1, ''],
    [['label', 'predicted_label', 'predicted_2_error'], 1, 'predicted_3_'],
  ])('never has a column twice: %j with a top-k of %d', (names, topK, prefix) => {
    const writer = new ResultWriter({ format: 'csv', verbatim: false, names, topK })
    const columns = parse(writer.header)[0] ?? []
    expect(new Set(columns).size).toBe(columns.length)
    expect(columns).toContain(`${prefix}label`)
  })

  it('has the cells of a table in JSONL in the order of its columns', () => {
    const writer = new ResultWriter({ format: 'jsonl', verbatim: false, names: ['10', 'text', '2'], topK: 1 })
    const request = { custom_id: 'row-1', method: 'POST', url: '/predict', body: {} }
    const row = { request, content: { cells: ['a', 'b', 'c'] }, end: 0 }
    expect(writer.format([{ row, line: cancelled }])).toBe('{"10":"a","text":"b","2":"c","error":"was cancelled"}\n')
  })
})
