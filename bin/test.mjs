// `npm test`: sets up a clone, then runs all checks and tests.
// The last line is "N passed, N failed".

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { exitWith, npm, report, setUp } from './setup.mjs'

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
  { title: 'promises under faults, short form', script: 'test:faults:short' },
]
if (chromium) stages.push({ title: `browser tests (${chromium})`, script: 'test:browser' })
else notes.push('browser tests skipped: no Chromium found (set CHROMIUM_PATH, or install chromium)')

const failedStage = stages.find((stage) => !passes(stage))
if (failedStage) notes.push(`stopped at "npm run ${failedStage.script}"`)
summarize()

/** Runs one stage and adds up its test results; a failed stage without a failed test counts as one failure. */
function passes({ title, script }) {
  section(title)
  const file = join(results, `${script.replaceAll(':', '-')}.json`)
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
    if (!process.env.TEST_REDIS_URL) report(`Redis: ${redisBinary(report)}`)
  } catch (error) {
    exitWith(error.message)
  }
}

/** The browser for the browser tests; CI=true requires one. */
function findChromium() {
  const given = process.env.CHROMIUM_PATH
  if (given && !existsSync(given)) exitWith(`CHROMIUM_PATH is ${given}, which does not exist`)
  const folders = (process.env.PATH ?? '').split(delimiter)
  const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const candidates = programs.flatMap((program) => folders.map((folder) => join(folder, program)))
  const found = given || candidates.find((path) => existsSync(path))
  if (!found && process.env.CI === 'true') exitWith('no Chromium found, and CI=true requires one: install chromium')
  return found
}

function section(title) {
  process.stdout.write(`\n=== ${title}\n`)
}

function summarize() {
  rmSync(results, { recursive: true, force: true })
  section(`done in ${Math.round((Date.now() - began) / 1_000)} s`)
  for (const note of notes) report(note)
  process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`)
  process.exitCode = total.failed > 0 ? 1 : 0
}
