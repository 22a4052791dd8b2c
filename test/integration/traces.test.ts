// The trace of a request through api, Redis and worker, as a collector gets it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'
import { createWorker, standIn } from '../helpers/worker.ts'

interface ReceivedSpan {
  service: string
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
}

const TEXT = 'a text that is in no span'
let redisUrl: string
let filesDir: string
let collector: WebhookReceiver
let traced: StartedApi
const stops: (() => unknown)[] = []

beforeAll(async () => {
  redisUrl = await emptyRedis()
  filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  collector = await startReceiver(() => 200)
  traced = await startApi(redisUrl, {
    FILES_URL: pathToFileURL(filesDir).href,
    DEFAULT_MODEL: 'tiny-fp32',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  })
  const worker = createWorker(redisUrl, standIn, { otlpEndpoint: collector.url })
  await worker.start()
  stops.push(collector.stop, traced.stop, () => worker.stop())
  await waitFor('the model', async () => (await fetch(`${traced.url}/health`)).ok)
})
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop()
  rmSync(filesDir, { recursive: true, force: true })
})

function spans(): ReceivedSpan[] {
  return collector.received.flatMap(({ body }) => {
    const [{ resource, scopeSpans }] = JSON.parse(body).resourceSpans
    const service = resource.attributes[0].value.stringValue as string
    return (scopeSpans[0].spans as ReceivedSpan[]).map((span) => ({ ...span, service }))
  })
}

async function traceOf(traceId: string, count: number): Promise<ReceivedSpan[]> {
  const ofTrace = () => spans().filter((span) => span.traceId === traceId)
  await waitFor(`${count} spans`, () => ofTrace().length >= count)
  return ofTrace().toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))
}

const callWith = (traceId: string, path = '/predict', headers = {}) =>
  fetch(`${traced.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-${'1'.repeat(16)}-01`, ...headers },
    body: JSON.stringify({ inputs: TEXT }),
  })

describe('a trace', () => {
  it('has request, admission, queue, run and reply of a call', async () => {
    const traceId = 'c'.repeat(32)
    expect((await callWith(traceId)).status).toBe(200)
    const all = await traceOf(traceId, 5)
    const request = all.find(({ name }) => name === 'POST /predict')
    console.log(`the trace of one call:\n${all.map((span) => lineOf(span, request)).join('\n')}`)
    expect(all.map(({ service, name }) => `${service} ${name}`).toSorted()).toEqual([
      'inferq-api POST /predict',
      'inferq-api admission',
      'inferq-api reply',
      'inferq-worker queue',
      'inferq-worker run',
    ])
    expect(request?.parentSpanId).toBe('1'.repeat(16))
    for (const each of all) if (each !== request) expect(each.parentSpanId).toBe(request?.spanId)
    expect(collector.received.map(({ body }) => body).join()).not.toContain(TEXT)
  })

  it('has the queue and the run of a prediction that no caller waits for', async () => {
    const traceId = 'd'.repeat(32)
    expect((await callWith(traceId, '/predict', { prefer: 'respond-async' })).status).toBe(202)
    const names = (await traceOf(traceId, 4)).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['POST /predict', 'admission', 'queue', 'run']))
  })

  it('has the queue and the run of each of several calls that share a job', async () => {
    const ids = ['2', '3', '4'].map((digit) => digit.repeat(32))
    const answers = await Promise.all(ids.map((traceId) => callWith(traceId)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const traceId of ids) {
      expect((await traceOf(traceId, 5)).map(({ name }) => name)).toEqual(expect.arrayContaining(['queue', 'run']))
    }
  })

  it('is begun by the api when the caller has none', async () => {
    const before = new Set(spans().map(({ traceId }) => traceId))
    expect((await fetch(`${traced.url}/predict?text=alone`)).status).toBe(200)
    await waitFor('the trace', () => spans().some(({ traceId, name }) => !before.has(traceId) && name === 'run'))
  })
})

/** A line with milliseconds since the begin of the request and the duration. */
function lineOf(
  { service, name, startTimeUnixNano, endTimeUnixNano }: ReceivedSpan,
  request: ReceivedSpan | undefined,
) {
  const ms = (from: string, to: string) => (Number(BigInt(to) - BigInt(from)) / 1e6).toFixed(2).padStart(9)
  const start = ms(request?.startTimeUnixNano ?? '0', startTimeUnixNano)
  return `${start} ms  +${ms(startTimeUnixNano, endTimeUnixNano)} ms  ${service.padEnd(14)} ${name}`
}
