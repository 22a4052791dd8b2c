// The spans of one HTTP request: the request, and in it the admission before its job and the reply after it.
import { formatTraceparent, parseTraceparent, preciseNow, SPAN_KIND, type SpanContext, type Tracer } from './tracer.ts'

export interface RequestEnd {
  id: string
  method: string
  route: string
  status: number
  /** The model that was found; undefined: the request reached no model. */
  model: string | undefined
}

export class RequestTrace {
  readonly #tracer: Tracer
  readonly #parent: SpanContext | undefined
  readonly #span: SpanContext
  readonly #startMs = preciseNow()
  #admittedMs: number | undefined
  #answeredMs: number | undefined

  /** @param traceparent of the request. */
  constructor(tracer: Tracer, traceparent: string | undefined) {
    this.#tracer = tracer
    this.#parent = parseTraceparent(traceparent)
    this.#span = tracer.newSpan(this.#parent)
  }

  /** The trace context of the request's jobs; undefined when the trace is not recorded. */
  get traceparent(): string | undefined {
    return this.#span.sampled ? formatTraceparent(this.#span) : undefined
  }

  /** The id of the trace for log lines; undefined when it is not recorded. */
  get traceId(): string | undefined {
    return this.#span.sampled ? this.#span.traceId : undefined
  }

  /** The request has passed admission: its job is added next. */
  admitted(): void {
    this.#admittedMs = preciseNow()
  }

  /** The result has arrived. */
  answered(): void {
    this.#answeredMs = preciseNow()
  }

  /** The response is closed. Requests that reach no model, such as health checks, are not recorded. */
  end({ id, method, route, status, model }: RequestEnd): void {
    if (model === undefined) return
    const endMs = preciseNow()
    const admission = { name: 'admission', startMs: this.#startMs, endMs: this.#admittedMs ?? endMs }
    this.#tracer.record(this.#tracer.newSpan(this.#span), this.#span, admission)
    if (this.#answeredMs !== undefined) {
      this.#tracer.record(this.#tracer.newSpan(this.#span), this.#span, {
        name: 'reply',
        startMs: this.#answeredMs,
        endMs,
      })
    }
    this.#tracer.record(this.#span, this.#parent, {
      name: `${method} ${route}`,
      kind: SPAN_KIND.server,
      startMs: this.#startMs,
      endMs,
      failed: status >= 500,
      attributes: {
        'http.request.method': method,
        'http.route': route,
        'http.response.status_code': status,
        'inferq.request_id': id,
        'inferq.model': model,
      },
    })
  }
}
