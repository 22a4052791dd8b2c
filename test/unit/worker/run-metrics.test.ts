import { pino } from 'pino'
import { expect, it } from 'vitest'
import { createWorkerMetrics } from '../../../src/telemetry/metrics.ts'
import { dispatcherEvents } from '../../../src/worker/run-metrics.ts'

function setUp() {
  const metrics = createWorkerMetrics()
  const valuesOf = async (name: string) => {
    const text = await metrics.registry.getSingleMetricAsString(name)
    return text.split('\n').filter((line) => !line.startsWith('#'))
  }
  return { valuesOf, events: dispatcherEvents(metrics, pino({ enabled: false })) }
}

const runOf = (owner: string) => ({
  texts: 2,
  tokens: 30,
  padding: 10,
  ms: 500,
  tokenizeMs: 20,
  usage: new Map([[owner, { texts: 2, tokens: 30, ms: 500 }]]),
})

it('counts the usage of owners, and tokens with their padding', async () => {
  const { valuesOf, events } = setUp()
  events.ran('cola', runOf('ann'))
  events.ran('cola', runOf('ann'))
  expect(await valuesOf('inferq_key_texts_total')).toEqual(['inferq_key_texts_total{owner="ann"} 4'])
  expect(await valuesOf('inferq_key_tokens_total')).toEqual(['inferq_key_tokens_total{owner="ann"} 60'])
  expect(await valuesOf('inferq_key_compute_seconds_total')).toEqual([
    'inferq_key_compute_seconds_total{owner="ann"} 1',
  ])
  expect(await valuesOf('inferq_tokens_total')).toEqual([
    'inferq_tokens_total{model="cola",kind="text"} 60',
    'inferq_tokens_total{model="cola",kind="padding"} 20',
  ])
})

it('counts failed texts by code', async () => {
  const { valuesOf, events } = setUp()
  const failed = { error: { code: 'Validation' as const, message: 'too long' } }
  events.rows('cola', [failed, failed, { error: { code: 'Backend', message: 'no' } }])
  expect(await valuesOf('inferq_failed_texts_total')).toEqual([
    'inferq_failed_texts_total{model="cola",code="Validation"} 2',
    'inferq_failed_texts_total{model="cola",code="Backend"} 1',
  ])
})

it('has a bounded number of owners', async () => {
  const { valuesOf, events } = setUp()
  for (let index = 0; index < 1_100; index += 1) events.ran('cola', runOf(`owner-${index}`))
  events.ran('cola', runOf('owner-0'))
  const lines = await valuesOf('inferq_key_texts_total')
  expect(lines).toHaveLength(1_001)
  expect(lines).toContain('inferq_key_texts_total{owner="owner-0"} 4')
  expect(lines).toContain('inferq_key_texts_total{owner="other"} 200')
})
