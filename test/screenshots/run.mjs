// `npm run screenshots`: takes the pictures of the page in docs/images, light and dark, with the shipped models.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { reviews } from './reviews.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const images = join(root, 'docs', 'images')
const MAX_BYTES = 150_000
const VIEWPORT = { width: 1120, height: 720 }
const START_SECONDS = 180
/** The charts need something to show. */
const LIVE_SECONDS = 45

const dir = mkdtempSync(join(tmpdir(), 'inferq-screenshots-'))
const port = await freePort()
const url = `http://localhost:${port}/`
const server = spawn(process.execPath, [join(root, 'dist/launcher/main.js')], {
  env: { ...process.env, PORT: String(port), DATA_DIR: dir, MONITOR_PORT: '0', MODELS: 'cola,sentiment-small' },
  stdio: ['ignore', 'ignore', 'inherit'],
})
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
})
try {
  mkdirSync(images, { recursive: true })
  await started()
  await takeTry()
  await takeBatch()
  await takeLive()
} finally {
  await browser.close()
  server.kill('SIGTERM')
  await once(server, 'exit')
  rmSync(dir, { recursive: true, force: true })
}

async function takeTry() {
  await eachScheme('try', async (page) => {
    await page.goto(url)
    await page.locator('.scores li').first().waitFor()
    await page.getByLabel('Text', { exact: true }).fill('Which book did you say that he have read?')
    await page.getByRole('button', { name: 'Predict' }).click()
    await page.waitForResponse((response) => response.url().endsWith('/predict'))
    // A call on a warm worker, as most are.
    await delay(1_000)
    await page.getByRole('button', { name: 'Predict' }).click()
    await page.locator('#result:not(.is-old) .scores').waitFor()
  })
  await eachScheme(
    'phone',
    async (page) => {
      await page.goto(url)
      await page.locator('.scores li').first().waitFor()
    },
    { width: 390, height: 760 },
  )
}

async function takeBatch() {
  const { page, hash } = await startBatch(900)
  await page.locator('.batch-head .badge').filter({ hasText: 'completed' }).waitFor({ timeout: 300_000 })
  await page.context().close()
  await eachScheme('batches', async (shown) => {
    await shown.goto(`${url}${hash}`)
    await shown.locator('.rows-body .row').nth(8).waitFor()
    await shown.getByLabel('Order').selectOption('lowest')
    await delay(1_000)
  })
}

/** Runs a table of reviews, as a reader of the page does. */
async function startBatch(rows) {
  const page = await newPage('light', VIEWPORT)
  await page.goto(`${url}#batches`)
  await page.getByText(/^Up to .* rows/).waitFor()
  const file = { name: 'reviews.csv', mimeType: 'text/csv', buffer: Buffer.from(reviews(rows)) }
  await page.setInputFiles('#batch-file', file)
  await page.locator('#batch-model').selectOption('sentiment-small')
  await page.getByRole('button', { name: 'Run the batch' }).click()
  await page.waitForURL(/#batches\/batch_/)
  return { page, hash: new URL(page.url()).hash }
}

async function takeLive() {
  const load = new AbortController()
  const calls = Array.from({ length: 3 }, () => callUntil(load.signal))
  const batch = await startBatch(20_000)
  await eachScheme('live', async (page) => {
    await page.goto(`${url}#live`)
    await page.locator('.plot canvas').nth(3).waitFor()
    await delay(LIVE_SECONDS * 1_000)
  })
  await batch.page.context().close()
  load.abort()
  await Promise.all(calls)
}

async function callUntil(signal) {
  for (let call = 0; !signal.aborted; call++) {
    const body = JSON.stringify({ inputs: `This is the film number ${call}.`, model: 'sentiment-small' })
    const headers = { 'Content-Type': 'application/json' }
    await fetch(`${url}predict`, { method: 'POST', headers, body }).then((response) => response.text())
    await delay(30 + 60 * (1 + Math.sin(Date.now() / 6_000)))
  }
}

async function eachScheme(name, show, viewport = VIEWPORT) {
  const pages = await Promise.all(
    ['light', 'dark'].map(async (scheme) => ({ scheme, page: await newPage(scheme, viewport) })),
  )
  await Promise.all(pages.map(({ page }) => show(page)))
  for (const { scheme, page } of pages) {
    const path = join(images, `${name}-${scheme}.png`)
    await page.bringToFront()
    await page.screenshot({ path })
    const { size } = statSync(path)
    console.log(`${path}: ${Math.round(size / 1_000)} kB`)
    if (size > MAX_BYTES) throw new Error(`${path} is larger than ${MAX_BYTES / 1_000} kB`)
    await page.context().close()
  }
}

async function newPage(colorScheme, viewport) {
  const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: 1.4, reducedMotion: 'reduce' })
  const page = await context.newPage()
  page.setDefaultTimeout(120_000)
  return page
}

async function started() {
  for (let waited = 0; ; waited++) {
    if (server.exitCode !== null || waited > START_SECONDS) throw new Error('inferq does not start')
    if (
      await fetch(`${url}health`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return
    await delay(1_000)
  }
}

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port: free } = listener.address()
  listener.close()
  return free
}
