// The page at /: charts, workers and refusals, in a browser.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { complaintsOf, findingsOf, overflowOf, startBrowser } from '../helpers/browser.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 })

let stack: Stack
let browser: Browser
let page: Page
let complaints: string[]
let requested: string[]

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis() })
  browser = await startBrowser()
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})
beforeEach(async () => {
  await open(stack.url)
  return async () => {
    expect(complaints).toEqual([])
    await page.context().close()
  }
})

async function open(url: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<void> {
  await page?.context().close()
  page = await (await browser.newContext(options)).newPage()
  page.setDefaultTimeout(120_000)
  complaints = complaintsOf(page)
  requested = []
  page.on('request', (request) => requested.push(request.url()))
  await page.goto(`${url}/#live`)
}

/** The value of a legend. */
const legend = (chart: string, series: string) =>
  page.locator('.chart').filter({ hasText: chart }).locator('.legend > div').filter({ hasText: series }).locator('dd')

async function drawn(): Promise<void> {
  await page.locator('.plot canvas').nth(3).waitFor()
}

describe('the section', () => {
  it('draws what happens, by the files of this server alone', async () => {
    await drawn()
    const classify = async () => {
      await fetch(`${stack.url}/predict?text=a`).then((response) => response.text())
      return legend('Texts per second', 'calls').innerText()
    }
    await expect.poll(classify, { timeout: 120_000, interval: 200 }).toMatch(/[1-9]/)
    await expect.poll(() => legend('Duration of calls', 'p99').innerText(), { timeout: 60_000 }).toMatch(/\d (?:ms|s)/)
    expect(await legend('Memory of Redis', 'used').innerText()).toMatch(/\d %/)
    await page.getByRole('cell', { name: 'running' }).waitFor()
    await page.getByText('tiny-fp32').waitFor()
    expect(requested.filter((url) => !url.startsWith(stack.url))).toEqual([])
  })

  it('reads nothing while another section is shown', async () => {
    await drawn()
    await page.getByRole('link', { name: 'Try', exact: true }).click()
    await page.locator('.scores li').first().waitFor()
    const before = requested.filter((url) => url.endsWith('/metrics')).length
    // Longer than two readings are apart.
    await page.waitForTimeout(5_000)
    expect(requested.filter((url) => url.endsWith('/metrics')).length).toBeLessThanOrEqual(before + 1)
    await page.getByRole('link', { name: 'Live' }).click()
    await expect
      .poll(() => requested.filter((url) => url.endsWith('/metrics')).length, { timeout: 60_000 })
      .toBeGreaterThan(before + 1)
  })

  it('names what is refused, and why', async () => {
    const full = await stack.addApi(undefined, { MAX_WAITING: '1' })
    const call = async (index: number) => {
      const response = await fetch(`${full.url}/predict?text=${index}`)
      await response.text()
      return response.status
    }
    const refused = async () =>
      (await Promise.all(Array.from({ length: 40 }, (_each, index) => call(index)))).includes(429)
    await expect.poll(refused, { timeout: 60_000 }).toBe(true)
    await open(full.url)
    await page.getByText('too_many_waiting').waitFor()
    await page.getByText('Too many calls wait for their answer').waitFor()
  })

  it('states that the server is away, and goes on when it is back', async () => {
    await drawn()
    await page.route('**/metrics', (route) => route.abort())
    await page.getByText('The server does not answer.').waitFor()
    await page.unroute('**/metrics')
    await page.getByText('The server does not answer.').waitFor({ state: 'detached' })
  })

  it('states what to do without a worker', async () => {
    const alone = await stack.addApi(undefined, { KEY_PREFIX: 'alone' })
    await open(alone.url)
    await page.getByText('No worker is live').waitFor()
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('is a page that axe accepts: %s, %i px', async (colorScheme, width) => {
    await open(stack.url, { colorScheme, viewport: { width, height: 800 } })
    await drawn()
    await page.getByText('Read it from code').click()
    expect(await findingsOf(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
  })

  it('states that it could not be loaded', async () => {
    await page.route('**/live/section.js', (route) => route.abort())
    await page.goto(`${stack.url}/#try`)
    await page.reload()
    await page.getByRole('link', { name: 'Live' }).click()
    await page.getByText('This section could not be loaded').waitFor()
    await page.unroute('**/live/section.js')
    await page.reload()
    await drawn()
  })
})
