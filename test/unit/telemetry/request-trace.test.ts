import { expect, it } from 'vitest'
import { RequestTrace } from '../../../src/telemetry/request-trace.ts'
import { parseTraceparent, type Span, Tracer } from '../../../src/telemetry/tracer.ts'

const CALLER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const end = { id: 'r1', method: 'POST', route: '/predict', status: 200, model: 'cola' }

function setUp(traceparent?: string, ratio = 1) {
  const spans: Span[] = []
  const trace = new RequestTrace(new Tracer({ onSpan: (span) => spans.push(span), ratio }), traceparent)
  return { trace, spans }
}

it('has the request as a child of the caller, with its parts', () => {
  const { trace, spans } = setUp(CALLER)
  const job = parseTraceparent(trace.traceparent)
  trace.admitted()
  trace.answered()
  trace.end(end)
  expect(spans.map(({ name }) => name)).toEqual(['admission', 'reply', 'POST /predict'])
  const [admission, reply, request] = spans
  expect(request).toMatchObject({ traceId: job?.traceId, spanId: job?.spanId, parentSpanId: 'b7ad6b7169203331' })
  expect([admission?.parentSpanId, reply?.parentSpanId]).toEqual([job?.spanId, job?.spanId])
  expect(request?.failed).toBe(false)
})

it('of a refused request ends with its admission', () => {
  const { trace, spans } = setUp()
  trace.end({ ...end, status: 503 })
  expect(spans.map(({ name, failed }) => [name, failed])).toEqual([
    ['admission', false],
    ['POST /predict', true],
  ])
})

it('is not recorded for a request that reaches no model', () => {
  const { trace, spans } = setUp()
  trace.end({ ...end, model: undefined })
  expect(spans).toEqual([])
})

it('that is not sampled is in no job and no log line', () => {
  const { trace, spans } = setUp(undefined, 0)
  trace.end(end)
  expect([trace.traceparent, trace.traceId, spans]).toEqual([undefined, undefined, []])
})
