import { describe, expect, it } from 'vitest'
import { formatTraceparent, parseTraceparent, type Span, Tracer } from '../../../src/telemetry/tracer.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

describe('a traceparent', () => {
  it('is read and written', () => {
    const context = parseTraceparent(`00-${TRACE}-${SPAN}-01`)
    expect(context).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true })
    expect(context && formatTraceparent(context)).toBe(`00-${TRACE}-${SPAN}-01`)
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)?.sampled).toBe(false)
  })

  it.each([
    undefined,
    '',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  ])('is none: %s', (header) => {
    expect(parseTraceparent(header)).toBeUndefined()
  })
})

describe('a span', () => {
  const record = (ratio: number, parent = parseTraceparent(undefined)) => {
    const spans: Span[] = []
    const tracer = new Tracer({ onSpan: (span) => spans.push(span), ratio, random: () => 0.5 })
    tracer.record(tracer.newSpan(parent), parent, { name: 'run', startMs: 1, endMs: 2 })
    return spans
  }

  it('of a new trace is recorded by the ratio', () => {
    expect(record(0.6)).toHaveLength(1)
    expect(record(0.4)).toHaveLength(0)
  })

  it('of a caller is recorded as the caller decides', () => {
    expect(record(0, parseTraceparent(`00-${TRACE}-${SPAN}-01`))).toMatchObject([
      { traceId: TRACE, parentSpanId: SPAN, name: 'run', kind: 1 },
    ])
    expect(record(1, parseTraceparent(`00-${TRACE}-${SPAN}-00`))).toHaveLength(0)
  })
})
