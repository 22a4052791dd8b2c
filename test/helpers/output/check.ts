// At the end of the end-to-end tests: no output of any process contains a user's text, a key or a secret.
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OUTPUT_DIR } from './record.ts'

/** Never in any output: what tests use as secrets, and what the api makes. */
const SECRETS = [
  /the-(?:secret|password)-of-\w+/, // API keys and passwords of Redis in the tests
  /test-password/, // ADMIN_PASSWORD
  /whsec_[A-Za-z0-9+/]{8}/, // secrets that sign webhooks
  /v1,[A-Za-z0-9+/]{43}=/, // signatures of webhooks
  /[?&]token=[0-9a-f]{12}\./, // links that stand for a key
  /\b(?:Bearer|Basic) [A-Za-z0-9+/=_-]{8}/,
]
/** Never in the output of a service: texts of many tests, and the marker of redaction.test.ts. */
const TEXTS = [
  /redact-me/i,
  /The boy (?:number \d+ )?is sitting/,
  /nobody may read this/,
  /that operators need not see/,
  /"custom_id"/,
]

/** Every file and line with what no output may contain, without the secret. */
function leaksIn(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const patterns = name.startsWith('cli-') ? SECRETS : [...SECRETS, ...TEXTS]
    const lines = readFileSync(join(dir, name), 'utf8').split('\n')
    return lines.flatMap((line, index) => {
      const found = patterns.find((pattern) => pattern.test(line))
      return found ? [`${name}:${index + 1} has ${found}: ${line.slice(0, 300)}`] : []
    })
  })
}

/** Adds the log of a Redis to the run's output. */
export function recordLog(path: string, name: string): void {
  const dir = process.env[OUTPUT_DIR]
  if (dir !== undefined && existsSync(path)) copyFileSync(path, join(dir, `service-${name}.log`))
}

export default function setup(): () => void {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-output-'))
  process.env[OUTPUT_DIR] = dir
  return () => {
    delete process.env[OUTPUT_DIR]
    const leaks = leaksIn(dir)
    const files = readdirSync(dir).length
    rmSync(dir, { recursive: true, force: true })
    if (leaks.length > 0) {
      process.exitCode = 1
      throw new Error(`secrets or texts in the output of ${files} streams:\n${leaks.slice(0, 20).join('\n')}`)
    }
    console.log(`redaction: no secret and no text in the output of ${files} streams`)
  }
}
