// Sends spans to an OpenTelemetry collector: OTLP over HTTP, as JSON (https://opentelemetry.io/docs/specs/otlp).
import { settledWithin } from '../async.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { VERSION } from '../package.ts'
import type { Span } from './tracer.ts'

export interface OtlpExporterOptions {
  /** URL of the collector; `/v1/traces` is added to its path. */
  endpoint: string
  headers: Record<string, string>
  /** The name of this program in traces. */
  service: string
  /** The id of this process. */
  instance: string
  logger: Logger
  /** Called with the number of spans that were sent, or that are lost. */
  onOutcome: (outcome: 'sent' | 'dropped', spans: number) => void
}

/** Spans that wait; further ones are dropped, so that a collector that is away takes no memory. */
const MAX_WAITING = 2_048
const MAX_BATCH = 512
const INTERVAL_MS = 1_000
const TIMEOUT_MS = 5_000
const STOP_MS = 2_000

export class OtlpExporter {
  readonly #options: OtlpExporterOptions
  readonly #url: string
  #waiting: Span[] = []
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #failing = false
  #stopped = false

  constructor(options: OtlpExporterOptions) {
    this.#options = options
    const url = new URL(options.endpoint)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
    this.#url = url.href
  }

  /** Sends a span within about a second. */
  readonly add = (span: Span): void => {
    if (this.#stopped || this.#waiting.length >= MAX_WAITING) return this.#options.onOutcome('dropped', 1)
    this.#waiting.push(span)
    if (this.#timer === undefined && this.#sending === undefined) this.#schedule()
  }

  /** Sends what waits; gives up after two seconds. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    if (!(await settledWithin(this.#sendAll(), STOP_MS))) this.#drop(this.#waiting.splice(0))
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#sendAll()
    }, INTERVAL_MS)
  }

  #sendAll(): Promise<void> {
    this.#sending ??= this.#sendBatches().finally(() => {
      this.#sending = undefined
      if (this.#waiting.length > 0 && !this.#stopped) this.#schedule()
    })
    return this.#sending
  }

  async #sendBatches(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send(this.#waiting.splice(0, MAX_BATCH))
  }

  /** A batch that cannot be sent is lost: traces are no records. */
  async #send(spans: Span[]): Promise<void> {
    const { headers, service, instance, logger, onOutcome } = this.#options
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(toOtlp(spans, { service, instance })),
        signal: AbortSignal.timeout(TIMEOUT_MS),
        redirect: 'error',
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`it answered ${response.status}`)
      onOutcome('sent', spans.length)
      if (this.#failing) logger.info('the collector of traces is back')
      this.#failing = false
    } catch (error) {
      this.#drop(spans)
      if (!this.#failing)
        logger.warn({ reason: messageOf(error) }, 'the collector of traces takes none; they are dropped')
      this.#failing = true
    }
  }

  #drop(spans: Span[]): void {
    if (spans.length > 0) this.#options.onOutcome('dropped', spans.length)
  }
}

/** The body of a request to a collector. */
export function toOtlp(spans: readonly Span[], { service, instance }: { service: string; instance: string }) {
  const resource = {
    attributes: attributesOf({
      'service.name': service,
      'service.version': VERSION,
      'service.instance.id': instance,
    }),
  }
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'inferq' }, spans: spans.map(spanOf) }] }] }
}

function spanOf({ traceId, spanId, parentSpanId, name, kind, startMs, endMs, attributes, failed }: Span) {
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind,
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(Math.max(startMs, endMs)),
    attributes: attributesOf(attributes),
    // STATUS_CODE_ERROR, or unset.
    status: failed ? { code: 2 } : {},
  }
}

function attributesOf(attributes: Record<string, string | number>) {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }))
}

function valueOf(value: string | number) {
  if (typeof value === 'string') return { stringValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

/** OTLP's 64-bit numbers are texts in JSON. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1_000)) * 1_000n)
}
