// Every operation of /docs, executed in a browser with what it is prefilled with.
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBrowser } from '../helpers/browser.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
let browser: Browser
let page: Page
beforeAll(async () => {
  // The examples name the shipped model.
  stack = await startStack({
    redisUrl: await emptyRedis(),
    apiEnv: { DEFAULT_MODEL: 'cola' },
    workerEnv: { MODELS_DIR: 'models', MODELS: 'cola' },
  })
  browser = await startBrowser()
  page = await (await browser.newContext()).newPage()
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

interface Document {
  paths: Record<string, Record<string, { operationId: string; tags: [string]; requestBody?: { content: object } }>>
}

it('every operation is accepted as it is prefilled', async () => {
  const { paths } = (await (await fetch(`${stack.url}/openapi.json`)).json()) as Document
  await page.goto(`${stack.url}/docs/`)
  const statuses: Record<string, string> = {}
  for (const [path, operations] of Object.entries(paths)) {
    for (const { operationId, tags, requestBody } of Object.values(operations)) {
      const block = page.locator(`#operations-${tags[0]}-${operationId}`)
      await block.locator('.opblock-summary-control').click()
      if (requestBody && 'multipart/form-data' in requestBody.content) await chooseFile(block)
      await block.getByRole('button', { name: 'Execute' }).click()
      const status = await statusOf(block)
      // The ids of the examples are of no file or batch.
      const expected = /^\/v1\/(?:files|batches|predictions|uploads)\/\{id\}/.test(path)
        ? /^(?:200|201|202|204|404|409|410)/
        : /^20\d/
      if (!expected.test(status)) statuses[operationId] = status
      await block.locator('.opblock-summary-control').click()
    }
  }
  expect(statuses).toEqual({})
}, 300_000)

async function chooseFile(block: Locator): Promise<void> {
  const line = JSON.stringify({ custom_id: 'a', body: { inputs: 'She saw him.' } })
  const file = { name: 'input.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(`${line}\n`) }
  await block.locator('input[type=file]').setInputFiles(file)
}

async function statusOf(block: Locator): Promise<string> {
  const status = block.locator('.live-responses-table tbody .response-col_status').first()
  await status.waitFor()
  return (await status.innerText()).trim()
}
