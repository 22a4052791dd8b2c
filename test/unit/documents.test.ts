import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { apiSettings } from '../../src/api/config.ts'
import { settingsTable } from '../../src/launcher/settings.ts'
import { workerSettings } from '../../src/worker/config.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

describe('docs/operations.md', () => {
  const [, settings = ''] = read('docs/operations.md').split(/^## (?:Settings|Models)$/m)
  const sections = new Map(settings.split(/^### /m).map((section) => [section.split('\n')[0] ?? '', section]))

  it.each(settingsTable)('lists the settings: $title', ({ title, settings }) => {
    const rows = (sections.get(title) ?? '').split('\n').filter((line) => line.startsWith('| `'))
    const expected = Object.values(settings).map(
      ({ name, fallback, description }) => `| \`${name}\` | ${fallback ?? ''} | ${description} |`,
    )
    expect(rows).toEqual(expected)
  })
})

describe('compose.yaml', () => {
  /** What the containers themselves decide. */
  const fixed = [
    'ANNOUNCE_URL',
    'PORT',
    'HOST',
    'REDIS_URL',
    'REDIS_TLS_CA',
    'REDIS_TLS_CERT',
    'REDIS_TLS_KEY',
    'FILES_URL',
    'MODELS_DIR',
    'MODELS_CACHE',
    'MONITOR_PORT',
    'MONITOR_HOST',
  ]
  const [, api = '', worker = ''] = read('compose.yaml').split(/^ {2}(?:api|worker):$/m)
  const passed = { api: [apiSettings, api], worker: [workerSettings, worker] } as const

  it.each(Object.entries(passed))('passes every setting of the %s on', (_who, [settings, service]) => {
    const names = Object.values(settings).flatMap(({ name }) => (fixed.includes(name) ? [] : [name]))
    expect(names.filter((name) => !service.includes(`      ${name}: \${${name}:-}\n`))).toEqual([])
  })
})

describe('.env.example', () => {
  it('has ten settings that compose reads', () => {
    const names = [...read('.env.example').matchAll(/^# ([A-Z_]+)=/gm)].map(([, name]) => name)
    expect(names).toHaveLength(10)
    const compose = read('compose.yaml')
    // Compose itself reads COMPOSE_FILE.
    const unknown = names.filter((name) => name !== 'COMPOSE_FILE' && !compose.includes(`\${${name}`))
    expect(unknown).toEqual([])
  })
})

describe('links', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'examples/README.md',
    ...markdownIn('docs'),
    ...markdownIn('docs/decisions'),
  ]

  it.each(pages)('of %s lead somewhere', (page) => {
    const targets = [...read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target]) => target ?? '')
    const missing = targets.filter(
      (target) => !/^https?:/.test(target) && !existsSync(join(root, dirname(page), target)),
    )
    expect(missing).toEqual([])
  })
})

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => (name.endsWith('.md') ? [`${folder}/${name}`] : []))
}
