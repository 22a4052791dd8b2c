// The page at /: files as batches, in a browser.
import { readFileSync } from 'node:fs'
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
  await page.goto(`${url}/#batches`)
  await page.getByText(/^Up to .* rows and/).waitFor()
}

const TABLE = 'id,review\n1,"A good, long film"\n2,A bad one\n3,\n4,Another\n'

async function choose(text: string | Buffer, name = 'reviews.csv'): Promise<void> {
  const buffer = typeof text === 'string' ? Buffer.from(text) : text
  await page.setInputFiles('#batch-file', { name, mimeType: 'text/plain', buffer })
}

const runButton = () => page.getByRole('button', { name: 'Run the batch' })
const badge = (word: string) => page.locator('.batch-head .badge').filter({ hasText: word })
const rows = () => page.locator('.rows-body .row')

async function run(text = TABLE): Promise<void> {
  await choose(text)
  await runButton().click()
  await page.waitForURL(/#batches\/batch_/)
}

describe('a table', () => {
  it('is shown as it will be asked, run, filtered, ordered and downloaded', async () => {
    await choose(TABLE)
    expect(await page.getByLabel('Column with the text').inputValue()).toBe('review')
    const shown = page.getByRole('region', { name: 'First rows' }).locator('tbody tr')
    await shown.nth(3).waitFor()
    expect(await shown.allInnerTexts()).toEqual(['1\tA good, long film', '2\tA bad one', '3\t', '4\tAnother'])
    await page.getByLabel('Column with the text').selectOption('id')
    await expect.poll(() => shown.first().innerText(), { timeout: 60_000 }).toBe('1\t1')
    await page.getByLabel('Column with the text').selectOption('review')
    await runButton().click()
    await badge('completed').waitFor()
    await rows().nth(3).waitFor()
    // The empty text is the error of its row.
    expect(await page.locator('.row-error').allInnerTexts()).toHaveLength(1)

    await page.getByLabel('Order').selectOption('lowest')
    const scores = (await rows().locator('.number:last-child').allInnerTexts()).filter((score) => score !== '')
    expect(scores).toEqual([...scores].sort())
    await page.getByLabel('Label').selectOption({ label: 'failed (1)' })
    await expect.poll(() => rows().count(), { timeout: 60_000 }).toBe(1)

    const [csv, jsonl] = [await download('Download CSV'), await download('Download JSONL')]
    expect(csv.split('\r\n').map((line) => line.replace(/,\w+,[\d.]+,$/, ''))).toEqual([
      'row,text,label,score,error',
      '1,"A good, long film"',
      '2,A bad one',
      expect.stringMatching(/^3,,,,\S/),
      '4,Another',
      '',
    ])
    expect(
      jsonl
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).custom_id),
    ).toEqual(['1', '2', '3', '4'])
  })

  it('is still there when the tab was closed, and its failed rows run again', async () => {
    await run()
    const { hash } = new URL(page.url())
    await page.goto('about:blank')
    await page.goto(`${stack.url}/${hash}`)
    await badge('completed').waitFor()
    await page.getByText('A good, long film').waitFor()
    await page.getByRole('button', { name: 'Retry failed' }).click()
    await page.waitForURL((url) => url.hash.startsWith('#batches/') && url.hash !== hash)
    await page.getByText('1 of 1 row ·').or(page.getByText('1 of 1 row')).first().waitFor()
    await page.getByRole('link', { name: 'All batches' }).click()
    await expect.poll(() => page.locator('.batch-row').count(), { timeout: 60_000 }).toBeGreaterThan(1)
  })

  it.each([
    ['{"n": 1, "text": "first"}\n{"n": 2, "text": "second"}\n', 'a.jsonl', 'JSON lines'],
    ['first\nsecond\n', 'a.txt', 'One text a line'],
    [
      '{"custom_id": "a", "body": {"inputs": "first"}}\n{"custom_id": "b", "body": {"inputs": "second"}}\n',
      'a.jsonl',
      'Requests of a batch',
    ],
  ])('can also be %j', async (text, name, format) => {
    await choose(text, name)
    await runButton().waitFor()
    expect(await page.getByLabel('Format').evaluate((select) => select.querySelector(':checked')?.textContent)).toBe(
      format,
    )
    await runButton().click()
    await badge('completed').waitFor()
    await rows().nth(1).filter({ hasText: 'second' }).waitFor()
  })

  it('can be pasted and dropped', async () => {
    await page.getByText('Or paste texts').click()
    await page.getByRole('textbox', { name: 'Texts' }).fill('one\ntwo\n')
    await page.getByRole('button', { name: 'Use this text' }).click()
    await page.getByText('pasted.txt').waitFor()
    await page.getByRole('button', { name: 'Choose another file' }).click()
    await page.evaluate(`{
      const data = new DataTransfer()
      data.items.add(new File(['dropped one\\ndropped two\\n'], 'dropped.txt'))
      document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))
    }`)
    await page.getByText('dropped two').waitFor()
  })
})

async function download(name: string): Promise<string> {
  const started = page.waitForEvent('download')
  await page.getByRole('button', { name }).click()
  return readFileSync(await (await started).path(), 'utf8')
}

describe('what goes wrong', () => {
  it.each([
    ['binary', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2]), 'a.csv', 'a.csv is binary'],
    ['a spreadsheet', Buffer.from('PK\u0003\u0004'), 'a.xlsx', 'Save the sheet as "CSV UTF-8"'],
    ['empty', Buffer.from(''), 'a.csv', 'a.csv is empty'],
  ])('is explained for a file that is %s', async (_what, bytes, name, message) => {
    await choose(bytes, name)
    await page.getByText(message).waitFor()
    await choose(TABLE)
    await runButton().waitFor()
  })

  it('two delimiters are shown, and can be chosen between', async () => {
    await choose('a;text,c\n1;one,3\n4;two,6\n')
    await page.getByText('Two delimiters fit: comma and semicolon').waitFor()
    await page.getByLabel('Delimiter').selectOption(';')
    await page.getByText('one,3').waitFor()
  })

  it('a file of 1 GB is refused by its rows, and never whole in memory', async () => {
    await page.evaluate(`{
      const piece = new Blob(['a text that is asked\\n'.repeat(50_000)])
      const file = new File(new Array(1_000).fill(piece), 'large.txt')
      const data = new DataTransfer()
      data.items.add(file)
      window.largestRead = 0
      const { stream } = Blob.prototype
      Blob.prototype.stream = function () {
        const reader = stream.call(this)
        return reader.pipeThrough(new TransformStream({
          transform: (chunk, out) => { window.largestRead += chunk.length; out.enqueue(chunk) },
        }))
      }
      const input = document.querySelector('#batch-file')
      input.files = data.files
      input.dispatchEvent(new Event('change'))
    }`)
    await page.getByText('1.1 GB').waitFor()
    await runButton().click()
    await page.getByText('more than 50,000 rows').waitFor()
    expect(await page.evaluate<number>('window.largestRead')).toBeLessThan(20_000_000)
    expect(await page.getByText('large.txt').first().isVisible()).toBe(true)
  })

  it('a server that goes away during the upload loses nothing', async () => {
    await page.route('**/v1/files', (route) => route.abort())
    await choose(TABLE)
    await runButton().click()
    await page.getByText('The server does not answer.').waitFor()
    expect(await page.getByText('reviews.csv').first().isVisible()).toBe(true)
    await page.unroute('**/v1/files')
    await page.getByRole('button', { name: 'Try again' }).click()
    await badge('completed').waitFor()
  })

  it('a file that is too large for one request goes in parts', async () => {
    const small = await stack.addApi(undefined, { MAX_FILE_BYTES: '1kb' })
    await open(small.url)
    const parts: string[] = []
    page.on('request', (request) => /parts|complete/.test(request.url()) && parts.push(request.url()))
    await run('text\n'.repeat(100))
    await badge('completed').waitFor()
    expect(parts).toHaveLength(2)
  })

  it('a connection that breaks while rows arrive is made again', async () => {
    let broken = 0
    await page.route('**/results?*', (route) => (broken++ < 2 ? route.abort() : route.continue()))
    await run()
    await badge('completed').waitFor()
    await rows().nth(3).waitFor()
    expect(broken).toBeGreaterThan(2)
  })

  it('a batch that does not exist is named', async () => {
    await page.goto(`${stack.url}/#batches/batch_0190f3f27c1e70008000000000000000`)
    await page.getByRole('alert').waitFor()
  })
})

describe('a refused key', () => {
  it('loses neither the file nor its columns', async () => {
    const key = 'page-secret-0123456789'
    const keyed = await stack.addApi(undefined, { API_KEYS: `ann:${key}` })
    await page.context().close()
    page = await browser.newPage()
    page.setDefaultTimeout(120_000)
    complaints = complaintsOf(page)
    await page.goto(`${keyed.url}/#batches`)
    await page.getByLabel('API key').fill(key)
    await page.keyboard.press('Enter')
    await page.getByText(/^Up to .* rows and/).waitFor()
    await choose(TABLE)
    await page.evaluate("sessionStorage.setItem('inferq.key', 'wrong-secret-0123456789')")
    await runButton().click()
    await page.getByText('The key was refused').waitFor()
    await page.getByLabel('API key').fill(key)
    await page.keyboard.press('Enter')
    expect(await page.getByLabel('Column with the text').inputValue()).toBe('review')
    await page.getByRole('button', { name: 'Try again' }).click()
    await badge('completed').waitFor()
    await rows().nth(3).waitFor()
  })
})

describe('a batch that waits', () => {
  it('has its reason, and can be cancelled', async () => {
    const later = await stack.addApi(undefined, { KEY_PREFIX: 'later' })
    const worker = await stack.addWorker({ KEY_PREFIX: 'later', MODELS: 'tiny-fp32' })
    await worker.stop()
    await open(later.url)
    await run()
    await page.getByText('It waits for a worker that serves tiny-fp32.').waitFor()
    await page.getByRole('link', { name: 'All batches' }).click()
    await page.getByText('It waits for a worker that serves tiny-fp32.').waitFor()
    await page.getByRole('button', { name: 'Cancel reviews.csv' }).click()
    await page.locator('.batch-row .badge').filter({ hasText: 'cancelled' }).waitFor()
  })
})

describe('access', () => {
  it('needs the keyboard alone', async () => {
    await page.locator('#batch-file').focus()
    await choose(TABLE)
    await runButton().waitFor()
    const reached: string[] = []
    for (let presses = 0; presses < 12 && reached.at(-1) !== 'Run the batch'; presses++) {
      await page.keyboard.press('Tab')
      reached.push(await page.evaluate('(document.activeElement.id || document.activeElement.textContent).trim()'))
    }
    expect(reached).toEqual(expect.arrayContaining(['batch-kind', 'batch-delimiter', 'batch-column', 'batch-model']))
    await page.keyboard.press('Enter')
    await badge('completed').waitFor()
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('has pages that axe accepts: %s, %i px', async (colorScheme, width) => {
    await open(stack.url, { colorScheme, viewport: { width, height: 800 } })
    await page.getByText('Or paste texts').click()
    await page.getByText('Run a file from code').click()
    expect(await findingsOf(page)).toEqual([])
    await choose(TABLE)
    await runButton().waitFor()
    expect(await findingsOf(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
    await runButton().click()
    await badge('completed').waitFor()
    await rows().nth(3).waitFor()
    expect(await findingsOf(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
  })
})
