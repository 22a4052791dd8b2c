// The page at /: its first section, in a browser.
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
/** The URLs that the page has requested. */
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
  await page.goto(url)
}

const text = () => page.getByRole('textbox', { name: 'Text', exact: true })
const scores = () => page.locator('.scores li')

describe('a text', () => {
  it('is classified when typing pauses, and is in no address', async () => {
    await scores().first().waitFor()
    await text().fill('A sentence about secrets')
    await page.waitForResponse(
      (response) => response.request().postDataJSON()?.inputs === 'A sentence about secrets' && response.ok(),
    )
    expect(await scores().locator('.label').allInnerTexts()).toHaveLength(2)
    expect(await page.locator('.timing dt').allInnerTexts()).toEqual(['queue', 'tokenize', 'infer', 'total', 'tokens'])
    expect(requested.filter((url) => url.includes('secrets'))).toEqual([])
    expect(page.url()).toBe(`${stack.url}/`)
  })

  it('is asked again on Enter, and its call before is cancelled', async () => {
    await scores().first().waitFor()
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    await page.route('**/predict', async (route) => {
      if (route.request().postDataJSON().inputs === 'first') await held
      await route.continue().catch(() => undefined)
    })
    const cancelled = page.waitForEvent('requestfailed')
    const first = page.waitForRequest('**/predict')
    await text().fill('first')
    await text().press('Enter')
    await first
    const answered = page.waitForResponse('**/predict')
    await text().fill('second')
    await text().press('Enter')
    expect((await cancelled).postDataJSON().inputs).toBe('first')
    expect((await answered).request().postDataJSON().inputs).toBe('second')
    release()
  })

  it('can be a pair', async () => {
    await scores().first().waitFor()
    await page.getByLabel('A pair of texts').check()
    await page.getByText('Type the second text of the pair.').waitFor()
    const answered = page.waitForResponse((response) => Array.isArray(response.request().postDataJSON()?.inputs))
    await page.getByLabel('Second text').fill('Another one')
    expect((await answered).request().postDataJSON().inputs).toEqual([['The boy is sitting on a bench', 'Another one']])
    await scores().first().waitFor()
  })

  it('goes to the model that is picked, whose card is shown', async () => {
    await scores().first().waitFor()
    const answered = page.waitForResponse((response) => response.request().postDataJSON()?.model === 'tiny-multilabel')
    await page.getByLabel('Model', { exact: true }).selectOption('tiny-multilabel')
    expect((await answered).headers()['x-model']).toBe('tiny-multilabel')
    await page.getByText('Model card').click()
    await page.getByRole('region', { name: 'Model card' }).filter({ hasNotText: 'Loading' }).waitFor()
  })

  it('is shown as code, which runs', async () => {
    await text().fill("It's a test")
    await page.getByText('Use it from code').click()
    const code = page.getByRole('region', { name: 'Code' })
    await code.filter({ hasText: 'test' }).waitFor()
    expect(await code.innerText()).toContain(`curl '${stack.url}/predict'`)
    await page.getByRole('button', { name: 'JavaScript' }).click()
    const answer = await page.evaluate(
      `(async () => { ${(await code.innerText()).replace('console.log(', 'return (')} })()`,
    )
    expect(answer).toHaveLength(2)
    await page.getByRole('button', { name: 'Python' }).click()
    expect(await code.innerText()).toContain('requests.post(')
  })
})

describe('what goes wrong', () => {
  it('keeps the text when the server goes away', async () => {
    await scores().first().waitFor()
    await page.route('**/predict', (route) => route.abort())
    await text().fill('What I typed')
    await page.getByText('The server does not answer.').waitFor()
    expect(await text().inputValue()).toBe('What I typed')
    await page.unroute('**/predict')
    await text().press('Enter')
    await scores().first().waitFor()
  })

  it('is the sentence of the api', async () => {
    await scores().first().waitFor()
    await text().fill('a'.repeat(100_001))
    await page.getByRole('alert').waitFor()
    expect(await page.getByRole('alert').innerText()).toMatch(/100000/)
  })
})

describe('an api with keys', () => {
  const key = 'page-secret-0123456789'
  let keyed: { url: string }
  beforeAll(async () => {
    keyed = await stack.addApi(undefined, { API_KEYS: `ann:${key}` })
  })

  it('is asked with the key of the field, which only this tab keeps', async () => {
    await open(keyed.url)
    const field = page.getByLabel('API key')
    await field.waitFor()
    await text().fill('What I typed')
    await field.fill('wrong-secret-0123456789')
    await field.press('Enter')
    await page.getByText('The key was refused').waitFor()
    expect(await text().inputValue()).toBe('What I typed')
    await field.fill(key)
    await field.press('Enter')
    await scores().first().waitFor()
    expect(await field.isVisible()).toBe(false)
    const kept = await page.evaluate('[JSON.stringify(localStorage), document.cookie, sessionStorage.length]')
    expect(kept).toEqual(['{}', '', 1])
    await page.getByText('Use it from code').click()
    expect(await page.content()).not.toContain(key)
    expect(requested.filter((url) => url.includes(key))).toEqual([])
  })
})

describe('without a model', () => {
  it('the page states what to do, and goes on when a worker comes', async () => {
    const alone = await stack.addApi(undefined, { KEY_PREFIX: 'alone' })
    await open(alone.url)
    await page.getByText('No model is served yet').waitFor()
    expect(await page.getByText('npx inferq serve ./my-classifier').isVisible()).toBe(true)
    expect(await findingsOf(page)).toEqual([])
    await stack.addWorker({ KEY_PREFIX: 'alone' })
    await scores().first().waitFor()
  })
})

describe('access', () => {
  it('needs no JavaScript for the form', async () => {
    await open(stack.url, { javaScriptEnabled: false })
    await text().fill('A sentence from a browser')
    await page.getByRole('button', { name: 'Predict' }).click()
    await page.waitForURL(/\/predict\?text=A\+sentence\+from\+a\+browser/)
  })

  it('needs the keyboard alone', async () => {
    await scores().first().waitFor()
    const reached: string[] = []
    for (let presses = 0; presses < 16; presses++) {
      await page.keyboard.press('Tab')
      reached.push(await page.evaluate('(document.activeElement.textContent || document.activeElement.id).trim()'))
      if (reached.at(-1) === 'The boy is sitting on a bench') break
    }
    expect(reached[0]).toBe('Skip to the content')
    await page.keyboard.press('Control+A')
    const answered = page.waitForResponse((response) => response.request().postDataJSON()?.inputs === 'typed')
    await page.keyboard.type('typed')
    await page.keyboard.press('Enter')
    expect((await answered).status()).toBe(200)
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('has a page that axe accepts: %s, %i px', async (colorScheme, width) => {
    await open(stack.url, { colorScheme, viewport: { width, height: 800 } })
    await scores().first().waitFor()
    await page.getByText('Use it from code').click()
    await page.getByText('Model card').click()
    expect(await findingsOf(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
  })
})
