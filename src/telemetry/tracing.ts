// The traces of a process: its tracer, and the exporter of its spans.
import type { Counter } from 'prom-client'
import type { Logger } from '../logger.ts'
import { OtlpExporter } from './otlp-exporter.ts'
import { Tracer } from './tracer.ts'

export interface Tracing {
  tracer: Tracer
  /** Sends the spans that wait. */
  stop: () => Promise<void>
}

export interface TracingOptions {
  config: { otlpEndpoint: string | undefined; otlpHeaders: Record<string, string>; traceRatio: number }
  service: string
  instance: string
  logger: Logger
  metrics: { spans: Counter<'outcome'> }
}

/** @returns undefined without a collector: nothing is traced, at no cost. */
export function startTracing({ config, service, instance, logger, metrics }: TracingOptions): Tracing | undefined {
  const { otlpEndpoint: endpoint, otlpHeaders: headers, traceRatio: ratio } = config
  if (endpoint === undefined) return undefined
  const onOutcome = (outcome: string, spans: number) => metrics.spans.inc({ outcome }, spans)
  const exporter = new OtlpExporter({ endpoint, headers, service, instance, logger, onOutcome })
  return { tracer: new Tracer({ onSpan: exporter.add, ratio }), stop: () => exporter.stop() }
}
