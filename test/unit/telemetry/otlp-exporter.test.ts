import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { OtlpExporter, toOtlp } from '../../../src/telemetry/otlp-exporter.ts'
import type { Span } from '../../../src/telemetry/tracer.ts'
import { startReceiver, type WebhookReceiver } from '../../helpers/webhook-receiver.ts'

const span: Span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: undefined,
  sampled: true,
  name: 'run',
  kind: 1,
  startMs: 1_700_000_000_000.25,
  endMs: 1_700_000_000_001,
  attributes: { 'inferq.model': 'cola', 'inferq.texts': 2, 'inferq.infer_ms': 1.5 },
  failed: true,
}

const running: WebhookReceiver[] = []
afterEach(() => running.splice(0).forEach((receiver) => receiver.stop()))

async function setUp(statusOf: (path: string, n: number) => number) {
  const collector = await startReceiver(statusOf)
  running.push(collector)
  const count = { sent: 0, dropped: 0 }
  const lines: string[] = []
  const exporter = new OtlpExporter({
    endpoint: `${collector.url}/base/`,
    headers: { authorization: 'Bearer secret' },
    service: 'inferq-api',
    instance: 'api-1',
    logger: pino({}, { write: (line: string) => void lines.push(line) }),
    onOutcome: (outcome, spans) => (count[outcome] += spans),
  })
  return { collector, exporter, count, lines }
}

it('writes spans as OTLP', () => {
  const [sent] = toOtlp([span], { service: 'inferq-api', instance: 'api-1' }).resourceSpans
  expect(sent?.resource).toMatchObject({
    attributes: expect.arrayContaining([{ key: 'service.name', value: { stringValue: 'inferq-api' } }]),
  })
  expect(sent?.scopeSpans[0]?.spans).toEqual([
    {
      traceId: span.traceId,
      spanId: span.spanId,
      name: 'run',
      kind: 1,
      startTimeUnixNano: '1700000000000250000',
      endTimeUnixNano: '1700000000001000000',
      attributes: [
        { key: 'inferq.model', value: { stringValue: 'cola' } },
        { key: 'inferq.texts', value: { intValue: '2' } },
        { key: 'inferq.infer_ms', value: { doubleValue: 1.5 } },
      ],
      status: { code: 2 },
    },
  ])
})

describe('spans', () => {
  it('are sent together, with the headers', async () => {
    const { collector, exporter, count } = await setUp(() => 200)
    exporter.add(span)
    exporter.add(span)
    const [request] = await collector.at('/base/v1/traces')
    expect(request?.headers['authorization']).toBe('Bearer secret')
    expect(JSON.parse(request?.body ?? '').resourceSpans[0].scopeSpans[0].spans).toHaveLength(2)
    await exporter.stop()
    expect(count).toEqual({ sent: 2, dropped: 0 })
  })

  it('that wait are sent at the stop, and none after it', async () => {
    const { exporter, count } = await setUp(() => 200)
    exporter.add(span)
    await exporter.stop()
    exporter.add(span)
    expect(count).toEqual({ sent: 1, dropped: 1 })
  })

  it('are dropped and counted while the collector takes none, with one line for the begin and one for the end', async () => {
    const { exporter, count, collector, lines } = await setUp((_path, n) => (n < 2 ? 503 : 200))
    for (const requests of [1, 2, 3]) {
      exporter.add(span)
      await collector.at('/base/v1/traces', requests)
    }
    await exporter.stop()
    expect(count).toEqual({ sent: 1, dropped: 2 })
    expect(lines.map((line) => JSON.parse(line).level)).toEqual([40, 30])
  })

  it('are limited in number', async () => {
    const { exporter, count } = await setUp(() => 200)
    for (let index = 0; index < 3_000; index += 1) exporter.add(span)
    expect(count.dropped).toBe(3_000 - 2_048)
    await exporter.stop()
    expect(count.sent).toBe(2_048)
  })
})
