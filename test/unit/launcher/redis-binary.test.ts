import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { redisBinary } from '../../../src/launcher/redis-binary.ts'

let dir: string
let said: string[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-path-'))
  said = []
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** A program on the only folder of PATH; `$0`, `$1` … are its name and arguments. */
function program(name: string, script = ''): void {
  const path = join(dir, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
}

const find = () => redisBinary((line) => said.push(line), { PATH: dir })

test('takes what PATH has, Redis before Valkey, and installs nothing', () => {
  program('apt-get', 'exit 1')
  program('valkey-server')
  expect(find()).toBe(join(dir, 'valkey-server'))
  program('redis-server')
  expect(find()).toBe(join(dir, 'redis-server'))
  expect(said).toEqual([])
})

test('installs one, says so first, and lets no service start', () => {
  const steps = ['[ "$RUNLEVEL" = 1 ] || exit 1', '[ "$1" = install ] || exit 0', `: > ${dir}/redis-server`]
  program('apt-get', [...steps, `/bin/chmod +x ${dir}/redis-server`].join('\n'))
  expect(find()).toBe(join(dir, 'redis-server'))
  expect(said).toEqual(['no Redis found; installing one with apt-get …'])
})

test('says what failed, why, and what to do', () => {
  program('apt-get', '[ "$1" = update ] || { echo "E: not root" >&2; exit 100; }')
  expect(find).toThrow(/"apt-get install .*redis-server" failed \(E: not root\)\. Install Redis .* or set REDIS_URL/)
})

test('without a package manager it says what to do', () => {
  expect(find).toThrow(/No redis-server or valkey-server was found\. Install Redis 6\.2 or newer/)
})
