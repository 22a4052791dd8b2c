import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { storedToken } from '../../../../src/cli/models/stored-token.ts'

const HUB = 'https://huggingface.co'
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-token-'))
  writeFileSync(join(dir, 'token'), 'hf_stored\n')
})
afterEach(() => rmSync(dir, { recursive: true }))

it('is read where the Hub’s own client stores it', async () => {
  expect(await storedToken(HUB, { HF_HOME: dir })).toBe('hf_stored')
  expect(await storedToken(`${HUB}/`, { HF_TOKEN_PATH: join(dir, 'token'), HF_HOME: '/nowhere' })).toBe('hf_stored')
})

it('is none without a file, and for a mirror', async () => {
  expect(await storedToken(HUB, { HF_HOME: join(dir, 'other') })).toBeUndefined()
  expect(await storedToken('https://mirror.example', { HF_HOME: dir })).toBeUndefined()
  expect(await storedToken('http://huggingface.co', { HF_HOME: dir })).toBeUndefined()
})
