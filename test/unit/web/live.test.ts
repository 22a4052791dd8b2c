// Metrics as the page reads them, and what happened between two readings.
import { readFileSync } from 'node:fs'
import { Counter, Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { parseMetrics, sumOf } from '../../../web/live/metrics-text.js'
import { quantile, ratesBetween, refusalsOf, workOf } from '../../../web/live/rates.js'
import { REASONS } from '../../../web/live/tables.js'

const reading = (at: number, text: string) => ({ at, metrics: parseMetrics(text) })

describe('the text of metrics', () => {
  it('is read as prom-client writes it', async () => {
    const registry = new Registry()
    const counter = new Counter({ name: 'a_total', help: 'A "help" text', labelNames: ['x'], registers: [registry] })
    counter.inc({ x: 'a "quoted", \\ and } label' }, 2)
    counter.inc({ x: 'b' }, 3)
    const metrics = parseMetrics(await registry.metrics())
    expect(metrics.get('a_total')?.map(({ labels }) => labels['x'])).toEqual(['a "quoted", \\ and } label', 'b'])
    expect([sumOf(metrics, 'a_total'), sumOf(metrics, 'a_total', ({ x }) => x === 'b')]).toEqual([5, 3])
    expect(sumOf(metrics, 'unknown')).toBe(0)
  })
})

describe('between two readings', () => {
  async function readings() {
    const registry = new Registry()
    const registers = [registry]
    const labelNames = ['method', 'route', 'status']
    const calls = new Histogram({
      name: 'inferq_http_request_seconds',
      help: 'h',
      labelNames,
      buckets: [0.1, 1],
      registers,
    })
    const texts = new Counter({ name: 'inferq_texts_total', help: 'h', labelNames: ['model'], registers })
    const observe = (route: string, seconds: number, method = 'POST') =>
      calls.observe({ method, route, status: '200' }, seconds)
    observe('/predict', 30)
    texts.inc({ model: 'a' }, 100)
    const before = reading(1_000, await registry.metrics())
    for (let call = 0; call < 90; call++) observe('/predict', 0.05)
    for (let call = 0; call < 10; call++) observe('/models/:model', 0.5)
    // A page or a list is no call.
    for (let call = 0; call < 500; call++) observe('/', 60, 'GET')
    texts.inc({ model: 'b' }, 20)
    return { before, after: reading(3_000, await registry.metrics()) }
  }

  it('are the rates and durations of the calls in between alone', async () => {
    const { before, after } = await readings()
    const rates = ratesBetween(before, after)
    expect(rates).toMatchObject({ calls: 10, rows: 0 })
    expect(rates?.p50).toBeCloseTo(0.1 * (50 / 90))
    expect(rates?.p99).toBeCloseTo(0.1 + 0.9 * (9 / 10))
  })

  it('is nothing without a call, or across a restart', async () => {
    const { after } = await readings()
    expect(ratesBetween({ ...after, at: 1_000 }, after)).toEqual({ calls: 0, rows: 0, p50: null, p99: null })
    expect(ratesBetween(after, after)).toBeUndefined()
    const start = (seconds: number) => `process_start_time_seconds ${seconds}\ninferq_texts_total 5\n`
    expect(ratesBetween(reading(0, start(1)), reading(2_000, start(2)))).toBeUndefined()
  })
})

it('quantiles above the last bound are that bound', () => {
  expect(
    quantile(
      [
        [1, 0],
        [Number.POSITIVE_INFINITY, 5],
      ],
      0.5,
    ),
  ).toBe(1)
  expect(
    quantile(
      [
        [1, 4],
        [2, 4],
        [Number.POSITIVE_INFINITY, 4],
      ],
      1,
    ),
  ).toBe(1)
  expect(quantile([], 0.5)).toBeNull()
})

it('refusals are those that happened', () => {
  const text = 'inferq_refused_total{reason="queue_full"} 3\ninferq_refused_total{reason="redis_full"} 0\n'
  expect([...refusalsOf(reading(0, text))]).toEqual([['queue_full', 3]])
})

it('work is that of all models', () => {
  const work = { interactive: 1, async: 2, bulk: null }
  expect(workOf({ a: { work_seconds: work }, b: { work_seconds: work } })).toEqual({
    interactive: 2,
    async: 4,
    bulk: 0,
  })
})

it('every reason of a refusal is explained', () => {
  const docs = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const [, list = ''] = /Reasons of\s+`inferq_refused_total` are (.*?)\. /s.exec(docs) ?? []
  const reasons = [...list.matchAll(/`(\w+)`/g)].map(([, reason]) => reason)
  expect(new Set(Object.keys(REASONS))).toEqual(new Set(reasons))
})
