// `npm test`: sets up what is missing, then every check and every test; the last line is "N passed, N failed".

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { giveUp, npm, say, setUp } from './setup.mjs'

const began = Date.now()
const results = mkdtempSync(join(tmpdir(), 'inferq-results-'))
const total = { passed: 0, failed: 0 }
const notes = []

section('set-up')
setUp()
await findRedis()
const chromium = findChromium()

const stages = [
  { title: 'format, types, lint, dead code, unit tests', script: 'verify' },
  { title: 'integration tests (a real Redis)', script: 'test:integration' },
  { title: 'end-to-end tests (real processes)', script: 'test:e2e' },
]
if (chromium) stages.push({ title: `browser tests (${chromium})`, script: 'test:browser' })
else notes.push('browser tests skipped: no Chromium was found (set CHROMIUM_PATH, or install chromium)')

const failedStage = stages.find((stage) => !passes(stage))
if (failedStage) notes.push(`stopped at "npm run ${failedStage.script}"`)
summarize()

/** Runs one stage and adds up what its tests report; a failure that is no test's counts as one. */
function passes({ title, script }) {
  section(title)
  const file = join(results, `${script.replace(':', '-')}.json`)
  const env = { ...process.env, TEST_RESULTS: file, ...(chromium ? { CHROMIUM_PATH: chromium } : {}) }
  const { status } = npm(['run', '--silent', script], env)
  const { numPassedTests = 0, numFailedTests = 0 } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  total.passed += numPassedTests
  total.failed += status === 0 ? numFailedTests : Math.max(1, numFailedTests)
  return status === 0
}

async function findRedis() {
  const { redisBinary } = await import('../dist/launcher/redis-binary.js')
  try {
    if (!process.env.TEST_REDIS_URL) say(`Redis: ${redisBinary(say)}`)
  } catch (error) {
    giveUp(error.message)
  }
}

/** The browser for the page's tests; a machine that calls itself CI must have one. */
function findChromium() {
  const given = process.env.CHROMIUM_PATH
  if (given && !existsSync(given)) giveUp(`CHROMIUM_PATH names ${given}, which does not exist.`)
  const folders = (process.env.PATH ?? '').split(delimiter)
  const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const candidates = programs.flatMap((program) => folders.map((folder) => join(folder, program)))
  const found = given || candidates.find((path) => existsSync(path))
  if (!found && process.env.CI === 'true') giveUp('No Chromium was found, and CI=true asks for one: install chromium.')
  return found
}

function section(title) {
  process.stdout.write(`\n=== ${title}\n`)
}

function summarize() {
  rmSync(results, { recursive: true, force: true })
  section(`done in ${Math.round((Date.now() - began) / 1_000)} s`)
  for (const note of notes) say(note)
  process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`)
  process.exitCode = total.failed > 0 ? 1 : 0
}
