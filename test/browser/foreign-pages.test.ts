// Web pages of other origins in a real browser: what they cannot do to an api without keys, and what CORS_ORIGINS allows.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContext, chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { emptyRedis } from '../helpers/redis.ts'

let closed: StartedApi
let shared: StartedApi
let browser: Browser
let context: BrowserContext
let elsewhere: Server
let filesDir: string
/** The same server as a page of another site, and as another program of this machine. */
let origins: { 'another site': string; 'another port': string }

beforeAll(async () => {
  elsewhere = createServer((_request, response) => response.setHeader('Content-Type', 'text/html').end('<p>a page</p>'))
  elsewhere.listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const { port } = elsewhere.address() as AddressInfo
  origins = { 'another site': `http://evil.example:${port}`, 'another port': `http://localhost:${port}` }
  const redisUrl = await emptyRedis()
  filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  const FILES_URL = pathToFileURL(filesDir).href
  closed = await startApi(redisUrl, { FILES_URL })
  shared = await startApi(redisUrl, { FILES_URL, CORS_ORIGINS: Object.values(origins).join(',') })
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      // The name of another site leads to this machine, as with DNS rebinding.
      '--host-resolver-rules=MAP evil.example 127.0.0.1',
      // The api must be safe in browsers without these checks.
      '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
    ],
  })
})
afterAll(async () => {
  await browser?.close()
  await Promise.all([closed?.stop(), shared?.stop()])
  elsewhere?.close()
  rmSync(filesDir, { recursive: true, force: true })
})
beforeEach(async () => {
  context = await browser.newContext({ httpCredentials: { username: 'admin', password: 'test-password' } })
})

/** The address that pages use: `localhost`, so that a page on another port is of the same site. */
const addressOf = ({ url }: StartedApi) => url.replace('127.0.0.1', 'localhost')

async function filesOf(api: StartedApi): Promise<string[]> {
  const list = (await (await fetch(`${api.url}/v1/files`)).json()) as { data: { filename: string }[] }
  return list.data.map(({ filename }) => filename)
}

/** Uploads as a page can to any address, without a preflight request. */
async function uploadFrom(origin: string, api: StartedApi, filename: string): Promise<void> {
  const page = await context.newPage()
  await page.goto(origin)
  await page.evaluate(
    async ([address = '', name]) => {
      const body = new FormData()
      body.set('purpose', 'batch')
      body.set('file', new Blob(['{"custom_id":"a","body":{"inputs":"a"}}\n']), name)
      await fetch(`${address}/v1/files`, { method: 'POST', mode: 'no-cors', body })
    },
    [addressOf(api), filename],
  )
}

describe.each(['another site', 'another port'] as const)('a page of %s', (where) => {
  it('stores no file, unless CORS_ORIGINS has its origin', async () => {
    await uploadFrom(origins[where], closed, `${where}, closed`)
    await uploadFrom(origins[where], shared, `${where}, shared`)
    const stored = await filesOf(closed)
    expect(stored).not.toContain(`${where}, closed`)
    expect(stored).toContain(`${where}, shared`)
  })

  it('reads answers only with CORS_ORIGINS', async () => {
    const page = await context.newPage()
    await page.goto(origins[where])
    const read = (api: StartedApi) =>
      page.evaluate(
        (address) =>
          fetch(`${address}/v1/files`, { headers: { 'X-Request-Id': 'a' } }).then(
            (response) => `${response.status} ${response.headers.get('x-request-id')}`,
            () => 'blocked',
          ),
        addressOf(api),
      )
    expect(await read(closed)).toBe('blocked')
    expect(await read(shared)).toBe('200 a')
  })

  it.each(['/admin/queues', '/ADMIN/queues', '/docs/', '/DOCS/', '/'])('does not frame %s', async (path) => {
    const page = await context.newPage()
    // The operator is logged in.
    expect((await page.goto(`${addressOf(closed)}/admin/queues`))?.status()).toBe(200)
    await page.goto(origins[where])
    await page.setContent(`<iframe src="${addressOf(closed)}${path}"></iframe>`)
    const [, frame] = page.frames()
    expect(frame?.url()).toMatch(/^chrome-error:/)
  })
})

describe('a name that leads to this machine', () => {
  it('shows nothing of the api', async () => {
    const page = await context.newPage()
    const address = closed.url.replace('127.0.0.1', 'evil.example')
    expect((await page.goto(address))?.status()).toBe(421)
    const status = await page.evaluate(() => fetch('/v1/files').then(({ status }) => status))
    expect(status).toBe(421)
  })
})
