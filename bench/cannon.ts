// Load generator process. autocannon's percentiles are whole milliseconds, so latencies are recorded here.
import autocannon from 'autocannon'
import { answerParent } from './child.ts'
import type { LoadOrder, LoadResult } from './load.ts'

/** autocannon prepares all requests of a connection in advance. */
const REQUESTS_A_CONNECTION = 64

answerParent<LoadOrder>(async (order) => {
  if (order.warmUpSeconds > 0) await fire(order, order.warmUpSeconds)
  return await fire(order, order.seconds)
})

async function fire({ url, key, connections, requests }: LoadOrder, duration: number): Promise<LoadResult> {
  const times: number[] = []
  let failed = 0
  let first = 0
  const began = performance.now()
  let lastAt = began
  const setupClient = (client: autocannon.Client) => {
    client.setHeaders({
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    })
    client.setRequests(slice(requests, first))
    first += REQUESTS_A_CONNECTION
  }
  const { errors } = await new Promise<autocannon.Result>((resolve, reject) => {
    const options = { url, connections, duration, timeout: 60, setupClient }
    const instance = autocannon(options, (error: unknown, result) => (error ? reject(error) : resolve(result)))
    instance.on('response', (_client, status, _bytes, ms) => {
      lastAt = performance.now()
      if (status === 200) times.push(ms)
      else failed += 1
    })
  })
  // Requests in flight at the end are not counted, and neither is the time since the last response.
  const seconds = (lastAt - began) / 1_000
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? Number.NaN
  return {
    answered: times.length,
    perSecond: times.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    failed: failed + errors,
  }
}

function slice(requests: LoadOrder['requests'], first: number): LoadOrder['requests'] {
  const count = Math.min(REQUESTS_A_CONNECTION, requests.length)
  return Array.from(
    { length: count },
    (_, index) => requests[(first + index) % requests.length] as LoadOrder['requests'][0],
  )
}
