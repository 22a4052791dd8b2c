import { expect, it } from 'vitest'
import type { TextsJob } from '../../../../src/queue/job.ts'
import { type Span, Tracer } from '../../../../src/telemetry/tracer.ts'
import { type EndedJob, traceJobs } from '../../../../src/worker/jobs/job-trace.ts'

const contextOf = (trace: string, flags = '01') => `00-${trace.repeat(32)}-${'1'.repeat(16)}-${flags}`
const data: TextsJob = { v: 1, model: 'cola', items: [{ text: 'the text' }], truncate: 'right', replyTo: 'api-1' }
const job: EndedJob = {
  data,
  lane: 'interactive',
  outcome: 'done',
  createdAt: 100,
  startedAt: 120,
  endedAt: 150,
  rows: [{ logits: [1], tokens: 7, ms: { queue: 20, tokenize: 1, infer: 25 }, run: 4 }],
}

function spansOf(ended: EndedJob): Span[] {
  const spans: Span[] = []
  traceJobs(new Tracer({ onSpan: (span) => spans.push(span), ratio: 1 }), 'worker-1')(ended)
  return spans
}

it('has a span of the queue and one of the run, without the text', () => {
  const spans = spansOf({ ...job, data: { ...data, trace: { traceparent: contextOf('a') } } })
  expect(spans).toMatchObject([
    { name: 'queue', startMs: 100, endMs: 120, parentSpanId: '1'.repeat(16) },
    { name: 'run', startMs: 120, endMs: 150, attributes: { 'inferq.tokens': 7, 'inferq.run_texts': 4 } },
  ])
  expect(JSON.stringify(spans)).not.toContain('the text')
})

it('is in the trace of each caller that records one', () => {
  const trace = { traceparent: contextOf('a'), others: `${contextOf('b')},${contextOf('c', '00')}` }
  const spans = spansOf({ ...job, data: { ...data, trace } })
  expect(spans.map(({ name, traceId }) => [name, traceId[0]])).toEqual([
    ['queue', 'a'],
    ['run', 'a'],
    ['queue', 'b'],
    ['run', 'b'],
  ])
})

it('has no span of a run that did not begin', () => {
  const ended = { ...job, outcome: 'expired', startedAt: undefined, rows: [] }
  const spans = spansOf({ ...ended, data: { ...data, trace: { traceparent: contextOf('a') } } })
  expect(spans).toMatchObject([{ name: 'queue', endMs: 150, attributes: { 'inferq.outcome': 'expired' } }])
})
