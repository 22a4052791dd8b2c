// Spans of OpenTelemetry traces, and the W3C trace context that connects those of several processes.
import { randomBytes } from 'node:crypto'

/** The place of a span in its trace, as a `traceparent` header has it. */
export interface SpanContext {
  /** 32 hexadecimal digits. */
  traceId: string
  /** 16 hexadecimal digits. */
  spanId: string
  /** Whether the spans of the trace are recorded. */
  sampled: boolean
}

/** The numbers of OTLP. */
export const SPAN_KIND = { internal: 1, server: 2, consumer: 5 } as const

/** A span that has ended. */
export interface Span extends SpanContext {
  name: string
  kind: (typeof SPAN_KIND)[keyof typeof SPAN_KIND]
  /** The id of the span that it is a part of. */
  parentSpanId: string | undefined
  /** Epoch milliseconds, with fractions. */
  startMs: number
  endMs: number
  /** Never a user's text, result or key. */
  attributes: Record<string, string | number>
  failed: boolean
}

export interface TracerOptions {
  /** Takes a span; never throws or waits. */
  onSpan: (span: Span) => void
  /** The share of new traces that are recorded, 0 to 1. */
  ratio: number
  random?: () => number
}

export class Tracer {
  readonly #options: TracerOptions

  constructor(options: TracerOptions) {
    this.#options = options
  }

  /** @param parent undefined: the span begins a trace. @returns the context of a new span. */
  newSpan(parent: SpanContext | undefined): SpanContext {
    const spanId = randomBytes(8).toString('hex')
    if (parent) return { ...parent, spanId }
    const { ratio, random = Math.random } = this.#options
    return { traceId: randomBytes(16).toString('hex'), spanId, sampled: random() < ratio }
  }

  /** Records an ended span, unless its trace is not sampled. */
  record(
    context: SpanContext,
    parent: SpanContext | undefined,
    { kind = SPAN_KIND.internal, attributes = {}, failed = false, ...span }: SpanDetails,
  ): void {
    if (!context.sampled) return
    this.#options.onSpan({ ...context, ...span, kind, attributes, failed, parentSpanId: parent?.spanId })
  }
}

export type SpanDetails = Pick<Span, 'name' | 'startMs' | 'endMs'> &
  Partial<Pick<Span, 'kind' | 'attributes' | 'failed'>>

const TRACEPARENT = /^[0-9a-f]{2}-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})$/

/** Parses a `traceparent` header; undefined when it is absent or invalid (https://www.w3.org/TR/trace-context). */
export function parseTraceparent(header: string | undefined): SpanContext | undefined {
  const { traceId, spanId, flags } = TRACEPARENT.exec(header ?? '')?.groups ?? {}
  if (header === undefined || header.startsWith('ff') || !traceId || !spanId || !flags) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export function formatTraceparent({ traceId, spanId, sampled }: SpanContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/** Now in epoch milliseconds with fractions; it never goes back. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now()
}
