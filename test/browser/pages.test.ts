// Pages in a browser: /docs and the dashboard.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startBrowser } from '../helpers/browser.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
let browser: Browser
let page: Page
/** URLs from other origins, and errors in the console. */
let foreign: string[]
let complaints: string[]

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis() })
  browser = await startBrowser()
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})
beforeEach(async () => {
  foreign = []
  complaints = []
  const context = await browser.newContext({ httpCredentials: { username: 'admin', password: 'test-password' } })
  page = await context.newPage()
  page.on('response', (response) => {
    if (!response.url().startsWith(stack.url) && /^https?:/.test(response.url())) foreign.push(response.url())
  })
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
})

describe('/docs', () => {
  it('shows every route of the document, without requests to other origins', async () => {
    await page.goto(`${stack.url}/docs/`)
    await page.locator('.opblock').first().waitFor()
    const document = (await (await fetch(`${stack.url}/openapi.json`)).json()) as { paths: Record<string, object> }
    const operations = Object.values(document.paths).reduce((sum, item) => sum + Object.keys(item).length, 0)
    expect(await page.locator('.opblock').count()).toBe(operations)
    expect([foreign, complaints]).toEqual([[], []])
  })

  it('executes a route with its example', async () => {
    await page.goto(`${stack.url}/docs/`)
    const block = page.locator('#operations-Predict-classifyText')
    await block.locator('.opblock-summary-control').click()
    await block.getByRole('button', { name: 'Execute' }).click()
    const status = block.locator('.live-responses-table tbody .response-col_status')
    await status.waitFor()
    expect(await status.innerText()).toMatch(/^200/)
  })
})

describe('the dashboard', () => {
  it('opens after the login, and lists the queues', async () => {
    await page.goto(`${stack.url}/admin/queues`)
    await page.getByText('tiny-fp32-bulk').first().waitFor()
    expect(foreign).toEqual([])
    expect(complaints.filter((complaint) => !complaint.includes('fonts.googleapis.com'))).toEqual([])
  })
})
