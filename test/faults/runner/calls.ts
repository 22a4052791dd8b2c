// The caller's side: requests to any live api, which repeat what was not answered.
import { setTimeout as delay } from 'node:timers/promises'
import { uuidv7 } from 'uuidv7'
import { waitFor } from '../../helpers/wait-for.ts'
import type { Cluster } from './cluster.ts'

export interface Found {
  id: string
  status: string
  output: unknown[] | null
  completed_at: string | null
}

const HAS_ENDED = new Set(['succeeded', 'failed', 'canceled', 'aborted'])
const JSON_TYPE = { 'Content-Type': 'application/json' }
/** A request that no process answers. */
const REQUEST_TIMEOUT_MS = 30_000
const REPEAT_MS = 100
/** Longer than any outage of a scenario. */
const SUBMIT_WITHIN_MS = 120_000

/** Any live api's URL, in turns. */
let turn = 0
const anyUrl = ({ apis, url }: Cluster) => apis[(turn += 1) % Math.max(1, apis.length)]?.url ?? url

/** Sends a request. @throws when no process answers. */
export function call(url: string, init: RequestInit & { json?: unknown } = {}): Promise<Response> {
  const { json, headers, ...rest } = init
  return fetch(url, {
    method: json === undefined ? 'GET' : 'POST',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    ...rest,
    headers: { ...(json === undefined ? {} : JSON_TYPE), ...(headers as Record<string, string>) },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
}

/** Status and JSON of an answer; status 0 when none came. */
export async function ask(
  url: string,
  init: RequestInit & { json?: unknown } = {},
): Promise<{ status: number; body: unknown }> {
  try {
    const response = await call(url, init)
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  } catch {
    return { status: 0, body: undefined }
  }
}

export const predict = (url: string, inputs: unknown = 'hello') => ask(`${url}/predict`, { json: { inputs } })

/**
 * Submits a prediction under an id of its own, to one api after the other, until one acknowledges it.
 * @returns its id; undefined when the signal aborted before.
 */
export async function submit(cluster: Cluster, input: unknown, signal?: AbortSignal): Promise<string | undefined> {
  const id = uuidv7()
  const until = Date.now() + SUBMIT_WITHIN_MS
  while (!signal?.aborted) {
    const { status } = await ask(`${anyUrl(cluster)}/v1/predictions/${id}`, { method: 'PUT', json: { input } })
    if (status === 200 || status === 201 || status === 202) return id
    if (Date.now() > until) throw new Error(`no prediction was accepted; the last answer was ${status}`)
    if (status >= 400 && status !== 429 && status !== 503) throw new Error(`a prediction was answered with ${status}`)
    await delay(REPEAT_MS)
  }
  return undefined
}

/** The prediction; undefined when it does not exist. Repeats what is not answered. */
export async function find(cluster: Cluster, id: string): Promise<Found | undefined> {
  return waitFor(`an answer about ${id}`, async () => {
    const { status, body } = await ask(`${anyUrl(cluster)}/v1/predictions/${id}`)
    if (status === 404 || status === 410) return { found: undefined }
    return status === 200 && { found: body as Found }
  }).then(({ found }) => found)
}

/** What became of acknowledged predictions, `within` milliseconds. */
export async function endsOf(cluster: Cluster, ids: string[], within: number): Promise<Map<string, Found | undefined>> {
  const ends = new Map<string, Found | undefined>()
  const deadline = Date.now() + within
  for (const id of ids) {
    let found = await find(cluster, id)
    while (found && !HAS_ENDED.has(found.status) && Date.now() < deadline) {
      await delay(REPEAT_MS)
      found = await find(cluster, id)
    }
    ends.set(id, found)
  }
  return ends
}

/** The sum of a metric's samples whose line begins so. */
export async function metric(url: string, start: string): Promise<number> {
  const lines = (await (await call(`${url}/metrics`)).text()).split('\n').filter((line) => line.startsWith(start))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** Waits until a call is answered. @returns milliseconds since `since`. */
export async function answeredAfter(url: string, since: number, within = 60_000): Promise<number> {
  await waitFor('a call to be answered', async () => (await predict(url)).status === 200, { within, every: 50 })
  return Date.now() - since
}
