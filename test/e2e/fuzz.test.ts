// Generated requests to every route: no 5xx, documented statuses and formats alone, and the service works afterwards.
// `npm run test:fuzz` sends 10,000, and FUZZ_SEED repeats a run.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OpenApiDocument } from '../../src/api/http/openapi.ts'
import { type FuzzedRequest, requestsTo } from '../helpers/fuzz/requests.ts'
import { fuzzOptions } from '../helpers/fuzz/seed.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

const options = fuzzOptions(300)
const MINUTE = 60_000
/** Sent before a route is known: a parameter that is empty, `.` or `..` makes another path. */
const WITHOUT_ROUTE = [404, 405]

let stack: Stack

/** The status and the text; a stream is read for a second at most. */
async function send({ method, path, headers, body }: FuzzedRequest) {
  const signal = AbortSignal.timeout(30_000)
  const response = await fetch(stack.url + path, { method, headers, signal, ...(body === undefined ? {} : { body }) })
  const type = response.headers.get('content-type') ?? ''
  if (/event-stream|ndjson/.test(type)) {
    await response.body?.cancel()
    return { status: response.status, type, text: '' }
  }
  return { status: response.status, type, text: await response.text() }
}

describe('generated requests', () => {
  beforeAll(async () => {
    stack = await startStack({
      redisUrl: await emptyRedis(),
      workerEnv: { MODELS: 'tiny-fp32' },
      apiEnv: { MAX_BODY: '64kb', MAX_INPUTS: '10', MAX_WAIT: '1s' },
    })
  })
  afterAll(() => stack?.stop())

  it(
    'has no 5xx, and only documented statuses',
    async () => {
      const document = (await (await fetch(`${stack.url}/openapi.json`)).json()) as OpenApiDocument
      const statuses = new Map<number, number>()
      await fc.assert(
        fc.asyncProperty(requestsTo(document), async (request) => {
          const { status, type, text } = await send(request)
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          const shown = `${status} ${text.slice(0, 500)}`
          expect(status, shown).toBeLessThan(500)
          const operation = document.paths?.[request.template]?.[request.method.toLowerCase() as 'get']
          const documented = Object.keys(operation?.responses ?? {}).map(Number)
          expect([...documented, ...WITHOUT_ROUTE], shown).toContain(status)
          if (status >= 400) {
            expect(type, shown).toMatch(/^application\/(?:problem\+)?json/)
            expect(text).not.toMatch(/node_modules|\.[jt]s:\d+/)
            expect(Buffer.byteLength(text)).toBeLessThan(64 * 1_024)
          }
        }),
        options,
      )
      console.log([...statuses].map(([status, count]) => `${count} × ${status}`).join(', '))
    },
    options.numRuns * 200 + MINUTE,
  )

  it('answers afterwards, and logs no error', async () => {
    expect((await fetch(`${stack.url}/predict?text=a`)).status).toBe(200)
    expect(stack.api.logs().filter(({ level }) => Number(level) >= 50)).toEqual([])
  })
})
