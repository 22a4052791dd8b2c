// The client of the package as a module of a page, which calls an api of another origin.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type * as Client from '../../src/client/exports.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

const PAGE = `<script type="module">import * as client from '/client.js'; globalThis.client = client</script>`
let stack: Stack
let browser: Browser
let pages: Server
let origin: string

beforeAll(async () => {
  const module = readFileSync('dist/client/exports.js')
  pages = createServer((request, response) => {
    if (request.url === '/example') {
      const example = readFileSync('examples/page.html', 'utf8').replace('http://localhost:8000', addressOf(stack))
      return response.setHeader('Content-Type', 'text/html').end(example)
    }
    const isModule = request.url === '/client.js'
    response.setHeader('Content-Type', isModule ? 'text/javascript' : 'text/html').end(isModule ? module : PAGE)
  })
  pages.listen(0, '127.0.0.1')
  await once(pages, 'listening')
  origin = `http://localhost:${(pages.address() as AddressInfo).port}`
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { CORS_ORIGINS: origin } })
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  })
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
  pages?.close()
})

/** As a page on another port of the same machine uses it. */
const addressOf = ({ url }: Stack) => url.replace('127.0.0.1', 'localhost')

it('labels what is typed into the example', async () => {
  const page = await browser.newPage()
  await page.goto(`${origin}/example`)
  await page.getByLabel('Text').pressSequentially('A moving and funny film')
  await page.locator('#label', { hasText: /^(?:positive|negative) \(0\.\d\d\)$/ }).waitFor()
})

it('classifies, streams, runs batches, and reports errors with their types', async () => {
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('pageerror', ({ message }) => complaints.push(message))
  await page.goto(origin)
  await page.waitForFunction(() => 'client' in globalThis)
  const results = await page.evaluate(async (server) => {
    const { Inferq, InferqError, signWebhook, verifyWebhook } = (globalThis as unknown as { client: typeof Client })
      .client
    const inferq = new Inferq({ url: server })
    const labels = (await inferq.predict('She saw him.')).map(({ label }) => label)
    const { id } = await inferq.predictions.create('She saw him.')
    const events: string[] = []
    for await (const { event } of inferq.predictions.stream(id)) events.push(event)
    const rows: boolean[] = []
    for await (const { result } of inferq.batches.run(['a', 'b', 'c'], { rowsPerBatch: 2 }))
      rows.push(Array.isArray(result))
    const failure = await inferq.predict('a', { model: 'none' }).catch((error: unknown) => error)
    const signed = { 'webhook-id': 'a', 'webhook-timestamp': String(Math.floor(Date.now() / 1_000)) }
    const secret = 'whsec_c2VjcmV0'
    const signature = await signWebhook('a', new Date(), '{}', secret)
    const verified = await verifyWebhook('{}', { ...signed, 'webhook-signature': signature }, { secret })
    return {
      labels,
      last: events.at(-1),
      rows,
      failure: failure instanceof InferqError && [failure.name, failure.status, failure.type],
      verified,
    }
  }, addressOf(stack))
  expect(results).toEqual({
    labels: expect.arrayContaining(['negative', 'positive']),
    last: 'done',
    rows: [true, true, true],
    failure: ['InferqError', 404, 'NotFound'],
    verified: {},
  })
  expect(complaints).toEqual([])
})
