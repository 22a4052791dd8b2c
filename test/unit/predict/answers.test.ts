// What an answer's headers tell.
import { expect, it } from 'vitest'
import { answerHeaders } from '../../../src/api/routes/answer-headers.ts'
import type { Row, TextsResult } from '../../../src/queue/job.ts'

const rowOf = (queue: number): Row => ({ logits: [1], tokens: 3, ms: { queue, tokenize: 1, infer: 2 }, run: 4 })
const result: TextsResult = {
  outcome: 'done',
  revision: 'r',
  worker: 'w',
  startedAt: 0,
  rows: [rowOf(5), rowOf(50), { error: { code: 'Backend', message: 'no' } }],
}
const answersOf = (...places: number[]) => places.map((place) => ({ row: result.rows[place] as Row, result }))

it('times of the caller’s own rows alone, though the job held those of others', () => {
  expect(answerHeaders('m', answersOf(0))['Server-Timing']).toBe('queue;dur=5.00, tokenize;dur=1.00, infer;dur=2.00')
})

it('of many rows the longest times, passing over those that failed', () => {
  const headers = answerHeaders('m', answersOf(0, 1, 2))
  expect(headers).toMatchObject({ 'X-Model': 'm', 'X-Model-Revision': 'r', 'X-Worker': 'w' })
  expect(headers['Server-Timing']).toContain('queue;dur=50.00')
  expect(headers).toMatchObject({ 'X-Compute-Tokens': '6', 'X-Truncated-Texts': '0' })
})
