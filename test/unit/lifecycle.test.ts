import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { requireWritable } from '../../src/lifecycle.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-dir-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('requireWritable', () => {
  it('creates a directory, and leaves nothing in it', () => {
    requireWritable(join(dir, 'a/b c'), 'DATA_DIR', 'another')
    requireWritable(join(dir, 'a/b c'), 'DATA_DIR', 'another')
    expect(readdirSync(join(dir, 'a/b c'))).toEqual([])
  })

  it.each(['file', 'file/below'])('refuses %s, with the setting', (name) => {
    writeFileSync(join(dir, 'file'), '')
    expect(() => requireWritable(join(dir, name), 'DATA_DIR', 'another one: X')).toThrow(
      /^DATA_DIR: the directory .* cannot be written to \(ENOTDIR\); set another one: X$/,
    )
  })

  it.runIf(process.platform === 'linux')('ends below a directory that takes no entries', () => {
    expect(() => requireWritable('/proc/a/b', 'DATA_DIR', 'another')).toThrow(/cannot be written to/)
  })
})
