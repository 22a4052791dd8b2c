// No refusal is large, and none stops the api: the structure of a body is checked before it is parsed.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { hostileBodies } from '../helpers/hostile-bodies.ts'
import { emptyRedis } from '../helpers/redis.ts'

const MAX_BODY = 1_000_000
const MAX_REFUSAL = 64 * 1_024

let api: StartedApi
beforeAll(async () => {
  api = await startApi(await emptyRedis())
})
afterAll(() => api?.stop())

async function post(route: string, body: string): Promise<{ status: number; text: string }> {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(api.url + route, { method: 'POST', headers, body })
  return { status: response.status, text: await response.text() }
}

describe('a refusal', () => {
  it.each(hostileBodies(MAX_BODY))('of %s at %s is a refusal of less than 64 kB', async (_what, route, body) => {
    const { status, text } = await post(route, body)
    // Files and batches answer 400, as OpenAI does.
    expect(status).toBe(route === '/v1/batches' ? 400 : 422)
    expect(text.length).toBeLessThan(MAX_REFUSAL)
  })

  it('of any body is a 4xx of less than 64 kB', async () => {
    const routes = ['/predict', '/models/tiny', '/v1/predictions', '/v1/batches']
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...routes), largeBody, async (route, body) => {
        const { status, text } = await post(route, body)
        // 503: the body is valid, and no worker has started.
        expect([400, 413, 422, 503]).toContain(status)
        expect(Buffer.byteLength(text)).toBeLessThan(MAX_REFUSAL)
      }),
      { numRuns: 40 },
    )
  })
})

const names = fc.oneof(
  fc.constantFrom('inputs', 'text', 'parameters', 'metadata', 'requests', 'input', 'options', 'body', 'custom_id'),
  fc.string({ maxLength: 200, unit: 'binary' }),
)
const leaves = fc.oneof(fc.constantFrom(null, 1, '', 'a', {}, [], true), fc.string({ maxLength: 300, unit: 'binary' }))
/** One value, repeated in a list or as fields until the body is large. */
const repeated = fc.tuple(
  fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaves,
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(names, tie('value'), { maxKeys: 5 }),
    ),
  })).value,
  fc.boolean(),
  fc.integer({ min: 1, max: 500_000 }),
)
const largeBody = fc
  .tuple(names, repeated, fc.dictionary(names, leaves, { maxKeys: 5 }))
  .map(([name, [value, asList, count], rest]) => {
    const text = JSON.stringify(value)
    const copies = Math.max(1, Math.min(count, Math.floor((MAX_BODY - 10_000) / (text.length + 12))))
    const list = Array.from({ length: copies }, (_, index) => (asList ? text : `"f${index}":${text}`)).join(',')
    const inner = asList ? `[${list}]` : `{${list}}`
    return `{${JSON.stringify(name)}:${inner},${JSON.stringify(rest).slice(1)}`.replace(/,\}$/, '}')
  })
