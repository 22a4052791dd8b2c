import { describe, expect, it } from 'vitest'
import { readApiConfig } from '../../../src/api/config.ts'
import { type Setting, SettingsError } from '../../../src/env.ts'
import { readLauncherConfig, settingsTable } from '../../../src/launcher/settings.ts'
import { readWorkerConfig } from '../../../src/worker/config.ts'

const REDIS_URL = 'redis://127.0.0.1:6379'
const MARKER = 'TOPSECRET'
const readers = { api: readApiConfig, worker: readWorkerConfig, launcher: readLauncherConfig }
const settings: Setting<unknown>[] = settingsTable.flatMap((table) => Object.values(table.settings))
const names = [...new Set(settings.map(({ name }) => name))]

function problemsOf(read: (env: NodeJS.ProcessEnv) => unknown, env: Record<string, string>): string[] {
  try {
    read({ REDIS_URL, ...env })
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
}

/** Settings that take any text. */
const free = [
  'ADMIN_PASSWORD',
  'DATA_DIR',
  'MODELS_DIR',
  'MODELS_CACHE',
  'HF_TOKEN',
  'ADMIN_USER',
  'DEFAULT_MODEL',
  'MODELS',
]

describe.each(names)('%s', (name) => {
  it.each(Object.keys(readers) as (keyof typeof readers)[])('has a message with an example in the %s', (program) => {
    const problems = problemsOf(readers[program], { [name]: '!!' })
    expect(problems.length).toBeLessThanOrEqual(1)
    for (const problem of problems) {
      expect(problem).toMatch(new RegExp(`^${name}: (?:must|is|has|needs|at)\\b`))
      expect(problem).toMatch(/such as|one of|on or off|from \d+ to \d+|name:secret|at least \d+/)
    }
  })

  it.each([
    `http://user:${MARKER}@host`,
    `redis://:12/${MARKER}@host:6379`,
    `file://user:${MARKER}@host/files`,
    `${MARKER}@host`,
    `${'x'.repeat(80)}${MARKER}`,
  ])('is never printed with the password of %s', (value) => {
    for (const read of Object.values(readers)) expect(problemsOf(read, { [name]: value }).join()).not.toContain(MARKER)
  })
})

describe('the settings of all programs', () => {
  it('refuse what is not of their kind', () => {
    const accepting = names.filter((name) => problemsOf(readLauncherConfig, { [name]: '!!' }).length === 0)
    expect(accepting.filter((name) => !free.includes(name))).toEqual([])
  })

  it('are checked together before a program starts, each problem once', () => {
    const problems = problemsOf(readLauncherConfig, { PORT: 'abc', MAX_BODY: 'huge', RUN_TIMEOUT: 'x', WORKERS: '-1' })
    expect(problems).toEqual([
      'WORKERS: must be a whole number from 0 to 64, such as 1 (got "-1")',
      'PORT: must be a whole number from 0 to 65535, such as 8000 (got "abc")',
      'MAX_BODY: must be a size such as 512kb, 1mb or 2gb (got "huge")',
      'RUN_TIMEOUT: must be a duration from 1ms to 24d, such as 500ms, 30s or 5m (got "x")',
    ])
  })

  it('are declared once: only a default may differ', () => {
    for (const name of names) {
      const declared = settings.filter((each) => each.name === name)
      expect(new Set(declared.map(({ description }) => description)).size, name).toBe(1)
      expect(new Set(declared.map(({ schema }) => schema)).size, name).toBe(1)
    }
  })
})

describe('REDIS_URL', () => {
  it.each([
    'redis://127.0.0.1:6379',
    'redis://h',
    'redis://h/0',
    'redis://h:6379/15/'.slice(0, -1),
    'redis://:p%2Fa%23s%40s@h:6379',
    'redis://user:p:a;s$s@h',
    'rediss://[::1]:6380/2',
    'redis://h?family=6',
  ])('takes %s', (url) => {
    expect(problemsOf(readApiConfig, { REDIS_URL: url })).toEqual([])
  })

  it.each([
    'localhost:6379',
    'localhost',
    '127.0.0.1',
    'http://h',
    'redis:/h',
    'redis://',
    'redis:///0',
    '/tmp/s.sock',
  ])('refuses %s with an example', (url) => {
    const [problem, ...others] = problemsOf(readApiConfig, { REDIS_URL: url })
    expect(problem).toMatch(/^REDIS_URL: must be a URL such as redis:\/\/127\.0\.0\.1:6379/)
    expect(others).toEqual([])
  })

  it.each(['a/b', 'a#b', 'a?b', 'a@b', '50%off', '12/b', '12#b', '12?b', '12?b@c', '%', '%ff', 'a/1', '/', '1/2/3@'])(
    'refuses the unescaped password %s, and does not print it',
    (password) => {
      const [problem, ...others] = problemsOf(readLauncherConfig, { REDIS_URL: `redis://u:${MARKER}${password}@h:1/0` })
      expect(problem).toMatch(/^REDIS_URL: .*in a password, write \/ as %2F/)
      expect(problem).not.toContain(MARKER)
      expect(others).toEqual([])
    },
  )

  it.each(['/one', '/1/2', '/-1', '/0?db=x'])('refuses %s in place of a database number', (path) => {
    expect(problemsOf(readApiConfig, { REDIS_URL: `redis://h${path}` })).toHaveLength(1)
  })
})
