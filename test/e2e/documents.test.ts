// The OpenAPI document, /docs and the operations routes describe the running api correctly.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OpenApiDocument } from '../../src/api/http/openapi.ts'
import { BatchCaller, line } from '../helpers/batches.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
let document: OpenApiDocument
/** An existing file, batch and upload, for the examples with an id. */
let ids: { files: string; batches: string; uploads: string }
beforeAll(async () => {
  // The examples name the shipped model.
  stack = await startStack({
    redisUrl: await emptyRedis(),
    apiEnv: { DEFAULT_MODEL: 'cola' },
    workerEnv: { MODELS_DIR: 'models', MODELS: 'cola' },
  })
  const caller = new BatchCaller(stack.url)
  const batch = await caller.ended((await caller.run(line('a', { inputs: 'She saw him.' }) + line('b', {}))).id)
  // A separate file: the batch's own input cannot be erased while it is read.
  const { id } = (await (await caller.upload(line('a', {}))).json()) as { id: string }
  const upload = { filename: 'a.jsonl', bytes: 2, mime_type: 'application/jsonl', purpose: 'batch' }
  ids = { files: id, batches: batch.id, uploads: (await post('/v1/uploads', upload)).id }
  document = (await (await fetch(`${stack.url}/openapi.json`)).json()) as OpenApiDocument
})
afterAll(() => stack?.stop())

async function post(path: string, body: object): Promise<{ id: string }> {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(stack.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return (await response.json()) as { id: string }
}

interface Operation {
  parameters?: Array<{ name: string; in: string; example?: string }>
  requestBody?: { content: Record<string, { example: unknown }> }
  responses: Record<string, { content?: Record<string, { example?: unknown }> }>
}
type Entry = [method: string, path: string, operation: Operation]

/** Creating operations come first, so that the ids exist; deleting ones come last. */
function entries(): Entry[] {
  const order = ['put', 'post', 'get', 'delete']
  return Object.entries(document.paths ?? {})
    .flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]): Entry => [method, path, operation as Operation]),
    )
    .sort(([a, pathA], [b, pathB]) => order.indexOf(a) - order.indexOf(b) || pathA.length - pathB.length)
}

function formOf(path: string): FormData {
  const form = new FormData()
  const isPart = path.endsWith('/parts')
  if (!isPart) form.set('purpose', 'batch')
  form.set(isPart ? 'data' : 'file', new Blob(['{}']), 'input.jsonl')
  return form
}

/** Scores may differ by half of 10 ** -DIGITS (0.02): processors round differently. */
const DIGITS = 1.4

function nearly(example: unknown): unknown {
  if (typeof example === 'number') return expect.closeTo(example, DIGITS)
  if (Array.isArray(example)) return example.map(nearly)
  if (typeof example !== 'object' || example === null) return example
  return Object.fromEntries(Object.entries(example).map(([key, value]) => [key, nearly(value)]))
}

describe('README.md', () => {
  it('shows the answer of its first request', async () => {
    const readme = readFileSync('README.md', 'utf8')
    const [, path, answer = ''] = /curl 'localhost:8000(\S+)'\n```\n\n```json\n(.+)\n/.exec(readme) ?? []
    const shown = JSON.parse(answer.replaceAll('…', '')) as unknown
    expect(await (await fetch(stack.url + path)).json()).toEqual(nearly(shown))
  })
})

describe('the OpenAPI document', () => {
  it('has working examples, with documented statuses and content types', async () => {
    const seen: string[] = []
    for (const [method, path, operation] of entries()) {
      const of = (where: string) =>
        (operation.parameters ?? []).filter((parameter) => parameter.in === where && parameter.example)
      const resource = /^\/v1\/(files|batches|uploads)\/\{id\}/.exec(path)?.[1] as keyof typeof ids | undefined
      const known = (example?: string) => (resource ? ids[resource] : String(example))
      const filled = of('path').reduce((url, { name, example }) => url.replace(`{${name}}`, known(example)), path)
      const query = new URLSearchParams(
        Object.fromEntries(of('query').map(({ name, example }) => [name, String(example)])),
      )
      const body = operation.requestBody?.content['application/json']?.example
      const response = await fetch(`${stack.url}${filled}?${query}`, {
        method: method.toUpperCase(),
        ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
        ...(operation.requestBody?.content['multipart/form-data'] ? { body: formOf(path) } : {}),
      })
      const documented = operation.responses[response.status]
      const type = response.headers.get('content-type')?.split(';')[0] ?? 'none'
      seen.push(`${method} ${path} ${response.status}`)
      const text = await response.text()
      expect(documented, `${method} ${path} answered ${response.status} ${text}`).toBeDefined()
      const example = documented?.content?.[type]?.example
      if (Array.isArray(example)) expect(JSON.parse(text), path).toEqual(nearly(example))
      expect(Object.keys(documented?.content ?? { none: 1 })).toContain(type)
      // The example has succeeded before it is canceled or retried (409), has no webhook whose delivery could be repeated
      // (404), and no part with the id of the example (400).
      const mayFail = /\/(cancel|retry|redeliver|complete)$/.test(path)
      expect(response.status, `${method} ${path}`).toBeLessThan(mayFail ? 410 : 300)
    }
    expect(seen.length).toBeGreaterThan(20)
  })

  it('is shown by /docs with local files only', async () => {
    const page = await (await fetch(`${stack.url}/docs/`)).text()
    expect(page).toContain('swagger-ui')
    const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? '')
    expect(addresses.filter((address) => /^(https?:)?\/\//.test(address))).toEqual([])
    for (const address of addresses) expect((await fetch(new URL(address, `${stack.url}/docs/`))).status).toBe(200)
  })
})

describe('the operations routes', () => {
  const get = async (path: string) => {
    const response = await fetch(stack.url + path)
    expect([path, response.status]).toEqual([path, 200])
    return response
  }

  it('report models, workers, throughput and limits', async () => {
    const info = (await (await get('/info')).json()) as Record<string, unknown> & { workers: unknown[] }
    expect(info).toMatchObject({ model_id: 'cola', default_model: 'cola', limits: { max_inputs: 1_000 } })
    expect(info.workers).toHaveLength(1)
    const models = (await (await get('/v1/models')).json()) as { data: unknown[] }
    expect(models.data).toEqual([
      expect.objectContaining({ id: 'cola', state: 'ready', labels: ['unacceptable', 'acceptable'] }),
    ])
    const one = (await (await get('/v1/models/cola')).json()) as { card: string }
    expect(one.card).toMatch(/acceptab/i)
    const queue = (await (await get('/v1/queue')).json()) as { models: Record<string, unknown> }
    expect(queue.models['cola']).toMatchObject({ depth: { interactive: 0, bulk: 0 }, workers: 1 })
  })

  it('answer health checks', async () => {
    for (const path of ['/livez', '/readyz', '/health', '/ping', '/']) await get(path)
  })

  it('expose metrics with units in their names and no text in their labels', async () => {
    await get('/predict?text=count%20me')
    // A method that no route has is counted as another one: every label value is a time series.
    expect((await fetch(`${stack.url}/livez`, { method: 'PROPFIND' })).status).toBe(405)
    const metrics = await (await get('/metrics')).text()
    expect(metrics).toContain('method="other"')
    expect(metrics).not.toContain('PROPFIND')
    expect(metrics).toMatch(/inferq_http_request_seconds_count\{method="GET",route="\/predict",status="200"\} \d+/)
    expect(metrics).toMatch(/inferq_requests_total\{model="cola",outcome="success"\} [1-9]/)
    expect(metrics).toMatch(/inferq_refused_models 0/)
    expect(metrics).toMatch(/inferq_live_workers\{model="cola"\} 1/)
    expect(metrics).not.toContain('count me')
  })
})
