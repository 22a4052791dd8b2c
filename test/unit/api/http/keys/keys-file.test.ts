// Keys of a file: read at the start, taken again when they change, and kept when the file is invalid.
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { KeyRing } from '../../../../../src/api/http/keys/key-ring.ts'
import { apiKeysFile, KeysFileWatch } from '../../../../../src/api/http/keys/keys-file.ts'
import type { Logger } from '../../../../../src/logger.ts'
import { waitFor } from '../../../../helpers/wait-for.ts'

const [FIRST, SECOND] = ['8f1b0c5d9e2a7f46', '0f1b0c5d9e2a7f46']
let dir: string
let path: string
let lines: string[]
const log = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
const logger = { info: log, warn: log } as unknown as Logger

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-keys-'))
  path = join(dir, 'keys')
  lines = []
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function watched(): { ring: KeyRing; watch: KeysFileWatch } {
  const ring = new KeyRing(apiKeysFile.parse(path)?.keys ?? [])
  return { ring, watch: new KeysFileWatch(path, ring, logger) }
}
const accepts = (ring: KeyRing, secret: string) => ring.callerOf(`Bearer ${secret}`) !== undefined

it('has a key in each line; comments and empty lines are ignored', () => {
  writeFileSync(path, `# the keys\r\nann:${FIRST}:2:read\r\n\r\n  bob:${SECOND}\n`)
  expect(apiKeysFile.parse(path)?.keys).toMatchObject([{ weight: 2, role: 'read' }, { role: 'admin' }])
})

it.each([
  ['missing', undefined, /cannot be read \(ENOENT\)/],
  ['empty', '# none\n', /holds no key/],
  ['with an invalid key', `ann:${FIRST}\nbob:short\n`, /the key of line 2 is shorter|line 2/],
  ['too large', '#'.repeat(1_048_577), /larger than 1mb/],
])('a file that is %s is refused, without a part of a key', (_what, content, reason) => {
  if (content !== undefined) writeFileSync(path, content)
  const message = apiKeysFile.safeParse(path).error?.issues[0]?.message ?? ''
  expect(message).toMatch(reason)
  expect(message).not.toMatch(new RegExp(`${FIRST}|short\\b`))
})

it('a changed file is taken as a whole, and an invalid one is one line while the keys from before stay valid', async () => {
  writeFileSync(path, `ann:${FIRST}\n`)
  const { ring, watch } = watched()
  await watch.read()
  expect(lines).toEqual([])
  writeFileSync(path, `ann:${FIRST}\nann:${SECOND}\n`)
  await watch.read()
  expect([accepts(ring, FIRST), accepts(ring, SECOND)]).toEqual([true, true])
  writeFileSync(path, `ann:${SECOND}\nbob:${FIRST.slice(0, 8)}\n`)
  for (let times = 0; times < 3; times += 1) await watch.read()
  expect([accepts(ring, FIRST), watch.isInvalid]).toEqual([true, true])
  rmSync(path)
  await watch.read()
  expect(accepts(ring, FIRST)).toBe(true)
  writeFileSync(path, `ann:${SECOND}\n`)
  await watch.read()
  expect([accepts(ring, FIRST), accepts(ring, SECOND), watch.isInvalid]).toEqual([false, true, false])
  expect(lines.map((line) => line.split(' {')[0])).toEqual([
    'took the keys of API_KEYS_FILE',
    'API_KEYS_FILE cannot be used; the keys from before stay valid',
    'API_KEYS_FILE cannot be used; the keys from before stay valid',
    'took the keys of API_KEYS_FILE',
  ])
  expect(lines.join()).not.toMatch(new RegExp(`${FIRST.slice(0, 8)}|ann\\b|bob`))
})

it('follows a link that is replaced, as a mounted secret is, and SIGHUP', async () => {
  writeFileSync(join(dir, '1'), `ann:${FIRST}\n`)
  writeFileSync(join(dir, '2'), `ann:${SECOND}\n`)
  symlinkSync('1', path)
  const { ring, watch } = watched()
  const closing = new AbortController()
  watch.start(closing.signal)
  try {
    symlinkSync('2', join(dir, 'next'))
    renameSync(join(dir, 'next'), path)
    await waitFor('the new keys', () => accepts(ring, SECOND) && !accepts(ring, FIRST))
    writeFileSync(join(dir, '2'), `ann:${FIRST}\n`)
    process.emit('SIGHUP')
    await waitFor('the keys after SIGHUP', () => accepts(ring, FIRST))
  } finally {
    closing.abort()
  }
  expect(process.listenerCount('SIGHUP')).toBe(0)
})
