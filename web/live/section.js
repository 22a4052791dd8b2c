// Live: the last minutes of the service as charts, its workers, and what it refuses. It reads only while it is seen.
import { call, callJson, keyEvents } from '../api.js'
import { codeOfCall } from '../code.js'
import { codePanel } from '../code-panel.js'
import { element, note } from '../dom.js'
import { duration, short } from '../format.js'
import { chart } from './chart.js'
import { parseMetrics, sumOf } from './metrics-text.js'
import { ratesBetween, refusalsOf, workOf } from './rates.js'
import { refusedList, workersTable } from './tables.js'

const POLL_MS = 2_000
/** Five minutes. */
const MAX_POINTS = 150
/** Rates are those of the last 10 s, so that a chunk of a batch is no peak. */
const WINDOW = 5

/** @param {HTMLElement} root */
export function startLive(root) {
  const throughput = chart(
    'Texts per second',
    [
      { name: 'calls', color: '--series-1' },
      { name: 'batch rows', color: '--series-2' },
    ],
    { format: short, max: 5 },
  )
  const waiting = chart(
    'Waiting work',
    [
      { name: 'interactive', color: '--series-3' },
      { name: 'async', color: '--series-1' },
      { name: 'batches', color: '--series-2' },
    ],
    { format: duration, max: 1 },
  )
  const latency = chart(
    'Duration of calls',
    [
      { name: 'p50', color: '--series-1' },
      { name: 'p99', color: '--series-3' },
    ],
    { format: milliseconds, max: 0.02 },
  )
  const memory = chart('Memory of Redis', [{ name: 'used', color: '--series-1' }], { format: roughPercent, max: 1 })
  const charts = [throughput, waiting, latency, memory]
  const status = element('div', { 'aria-live': 'polite' })
  const workers = element('div')
  const refused = element('div')
  const code = codePanel('Read it from code')
  code.show((withKey) => codeOfCall(new URL('v1/queue', document.baseURI).href, { withKey }))
  root.setAttribute('aria-labelledby', 'live-title')
  root.append(
    element(
      'div',
      { class: 'intro' },
      element('h1', { id: 'live-title' }, 'Live'),
      element(
        'p',
        { class: 'muted' },
        'Read every 2 seconds while this page is seen. Rates and durations are those of the api that answers.',
      ),
    ),
    status,
    element('div', { class: 'charts' }, ...charts.map((each) => each.element)),
    element(
      'section',
      { class: 'card stack', 'aria-labelledby': 'workers-title' },
      element('h2', { id: 'workers-title' }, 'Workers'),
      workers,
    ),
    element(
      'section',
      { class: 'card stack', 'aria-labelledby': 'refused-title' },
      element('h2', { id: 'refused-title' }, 'Refused, and why'),
      refused,
    ),
    code.element,
  )
  /** @type {import('./rates.js').Reading[]} */
  const readings = []
  /** Times, then the values of all series. @type {(number | null)[][]} */
  const points = Array.from({ length: 9 }, () => [])
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let isShown = false
  let isReading = false
  const wake = () => isShown && document.visibilityState === 'visible' && void read()
  document.addEventListener('visibilitychange', wake)
  keyEvents.addEventListener('changed', wake)

  async function read() {
    clearTimeout(timer)
    if (isReading) return
    isReading = true
    try {
      const [text, queue, info, health] = await Promise.all([
        call('metrics').then((response) => response.text()),
        callJson('v1/queue'),
        callJson('info'),
        callJson('health').catch((error) => ({ warnings: [error.message] })),
      ])
      add({ at: Date.now(), metrics: parseMetrics(text) }, queue.models)
      await render(info, health)
      status.replaceChildren()
    } catch (error) {
      addGap()
      status.replaceChildren(note('bad', error instanceof Error ? error.message : String(error)))
    }
    isReading = false
    if (isShown && document.visibilityState === 'visible') timer = setTimeout(() => void read(), POLL_MS)
  }

  /** @param {import('./rates.js').Reading} reading @param {Record<string, any>} models */
  function add(reading, models) {
    readings.push(reading)
    if (readings.length > WINDOW) readings.shift()
    const [first = reading] = readings
    const rates = ratesBetween(first, reading)
    // After a restart of the api its counters begin again.
    if (readings.length > 1 && rates === undefined) readings.splice(0, readings.length - 1)
    const work = workOf(models)
    push([
      reading.at / 1_000,
      rates?.calls ?? null,
      rates?.rows ?? null,
      work.interactive,
      work.async,
      work.bulk,
      rates?.p50 ?? null,
      rates?.p99 ?? null,
      sumOf(reading.metrics, 'inferq_redis_memory_ratio'),
    ])
  }

  /** Nothing is drawn where nothing is known. */
  function addGap() {
    readings.length = 0
    push([Date.now() / 1_000, ...new Array(8).fill(null)])
  }

  /** @param {(number | null)[]} values */
  function push(values) {
    for (const [index, series] of points.entries()) {
      series.push(values[index] ?? null)
      if (series.length > MAX_POINTS) series.shift()
    }
  }

  /** @param {any} info @param {any} health */
  async function render(info, health) {
    const of = (/** @type {number[]} */ ...indexes) => [0, ...indexes].map((index) => points[index] ?? [])
    workers.replaceChildren(workersTable(info, Date.now()))
    const models = info.workers.flatMap((/** @type {any} */ worker) => worker.refused)
    const refusals = refusalsOf(/** @type {any} */ (readings.at(-1)))
    refused.replaceChildren(refusedList({ refusals, models, warnings: health.warnings ?? [] }))
    await Promise.all([
      throughput.show(of(1, 2)),
      waiting.show(of(3, 4, 5)),
      latency.show(of(6, 7)),
      memory.show(of(8)),
    ])
  }

  return {
    show: () => {
      isShown = true
      void read()
    },
    hide: () => {
      isShown = false
      clearTimeout(timer)
    },
  }
}

/** @param {number} share */
function roughPercent(share) {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`
}

/** @param {number} seconds */
function milliseconds(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1_000)} ms` : duration(seconds)
}
