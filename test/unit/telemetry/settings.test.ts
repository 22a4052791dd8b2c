import { describe, expect, it } from 'vitest'
import { readSettings } from '../../../src/env.ts'
import { tracingSettings } from '../../../src/telemetry/settings.ts'

describe('the settings of traces', () => {
  it('are off by default', () => {
    expect(readSettings(tracingSettings, {})).toEqual({ otlpEndpoint: undefined, otlpHeaders: {}, traceRatio: 1 })
  })

  it('are read as OpenTelemetry writes them', () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a%2Cb, x-tenant=7',
      OTEL_TRACES_SAMPLER_ARG: '.25',
    }
    expect(readSettings(tracingSettings, env)).toEqual({
      otlpEndpoint: 'http://localhost:4318',
      otlpHeaders: { authorization: 'Bearer a,b', 'x-tenant': '7' },
      traceRatio: 0.25,
    })
  })

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'name=%zz'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
  ])('refuse %s=%s, and repeat no secret', (name, value) => {
    expect(() => readSettings(tracingSettings, { [name]: value })).toThrow(name)
    if (name.endsWith('HEADERS')) expect(() => readSettings(tracingSettings, { [name]: value })).not.toThrow(value)
  })
})
