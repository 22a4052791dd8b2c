// The settings of traces, by the names of OpenTelemetry.
import * as z from 'zod'
import { optional, secret, setting, url } from '../env.ts'

/** `name=value` pairs separated by commas, percent-encoded as OpenTelemetry defines them. */
const headers: z.ZodType<Record<string, string>, string | undefined> = z
  .string()
  .optional()
  .transform((given = '', context) => {
    const pairs = given.split(',').filter((pair) => pair.trim() !== '')
    const parsed = pairs.map((pair) => /^\s*([\w.-]+)\s*=(.*)$/.exec(pair))
    if (parsed.every((pair) => pair !== null)) {
      try {
        return Object.fromEntries(parsed.map(([, name = '', value = '']) => [name, decodeURIComponent(value.trim())]))
      } catch {
        // A % that encodes nothing.
      }
    }
    context.addIssue({
      code: 'custom',
      message: 'must be name=value pairs separated by commas and percent-encoded, such as authorization=Bearer%20TOKEN',
    })
    return z.NEVER
  })

const ratio: z.ZodType<number, string | undefined> = z.string().transform((given, context) => {
  const value = /^\d*\.?\d+$/.test(given) ? Number(given) : Number.NaN
  if (value >= 0 && value <= 1) return value
  context.addIssue({ code: 'custom', message: 'must be a number from 0 to 1' })
  return z.NEVER
})

export const tracingSettings = {
  otlpEndpoint: secret(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    undefined,
    optional(url('http:', 'https:')),
    'URL of an OpenTelemetry collector, such as http://localhost:4318; unset: no traces',
  ),
  otlpHeaders: secret(
    'OTEL_EXPORTER_OTLP_HEADERS',
    undefined,
    headers,
    'headers of requests to the collector, such as authorization=Bearer%20TOKEN',
  ),
  traceRatio: setting(
    'OTEL_TRACES_SAMPLER_ARG',
    '1',
    ratio,
    'share of the requests that are traced, 0 to 1, unless their traceparent decides it',
  ),
}
