import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { redisBinary } from '../../../src/launcher/redis-binary.ts'

let dir: string
let printed: string[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-path-'))
  printed = []
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Writes a program into the only folder of PATH; `$0`, `$1` … are its name and arguments. */
function program(name: string, script = ''): void {
  const path = join(dir, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
}

const find = () => redisBinary((line) => printed.push(line), { PATH: dir })

test('uses a binary on PATH, Redis before Valkey, and installs nothing', () => {
  program('apt-get', 'exit 1')
  program('valkey-server')
  expect(find()).toBe(join(dir, 'valkey-server'))
  program('redis-server')
  expect(find()).toBe(join(dir, 'redis-server'))
  expect(printed).toEqual([])
})

test('prints that it installs Redis, and does not start its service', () => {
  const steps = ['[ "$RUNLEVEL" = 1 ] || exit 1', '[ "$1" = install ] || exit 0', `: > ${dir}/redis-server`]
  program('apt-get', [...steps, `/bin/chmod +x ${dir}/redis-server`].join('\n'))
  expect(find()).toBe(join(dir, 'redis-server'))
  expect(printed).toEqual(['no Redis found; installing one with apt-get …'])
})

test('a failed installation throws the command, the reason and the remedy', () => {
  program('apt-get', '[ "$1" = update ] || { echo "E: not root" >&2; exit 100; }')
  expect(find).toThrow(/"apt-get install .*redis-server" failed \(E: not root\); install Redis .* or set REDIS_URL/)
})

test('a missing package manager throws the remedy', () => {
  expect(find).toThrow(/no redis-server or valkey-server found; install Redis 6\.2 or newer/)
})
