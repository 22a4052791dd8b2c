// The state file: only a state of this program is read, replaced or removed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { owned, StateFile } from '../../../../../src/cli/batch/files/state.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-state-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const path = (name = 'out') => join(dir, name)
const claimed = owned({ token: '0123abcd', stage: 'claimed' } as const)

it('writes, replaces, reads and removes it', async () => {
  const file = new StateFile(path())
  expect(await file.read()).toBe(undefined)
  await file.write(claimed)
  await file.write({ ...claimed, token: 'ffffffff' })
  expect(await new StateFile(path()).read()).toEqual({ ...claimed, token: 'ffffffff' })
  await file.remove()
  expect(readdirSync(dir)).toEqual([])
})

it.each([
  '',
  'notes',
  '{}',
  'null',
  '{"program":"inferq batch","v":1}',
  '{"program":"inferq batch","v":2,"token":"../x"}',
])('refuses %j and keeps it', async (content) => {
  writeFileSync(path('out.inferq.json'), content)
  await expect(new StateFile(path()).read()).rejects.toThrow('is not the state of a run')
  await expect(new StateFile(path()).write(claimed)).rejects.toThrow('out.inferq.json exists')
  expect(readFileSync(path('out.inferq.json'), 'utf8')).toBe(content)
  expect(readdirSync(dir)).toHaveLength(1)
})

it('removes states that were not put in place, and no other file', async () => {
  const foreign = ['out.0123abcd.partial', 'out.0123abcd.states', 'other.0123abcd.state', 'out.xyz.state']
  for (const name of foreign) writeFileSync(path(name), JSON.stringify(claimed))
  writeFileSync(path('out.00000000.state'), 'my notes')
  for (const name of ['out.0123abcd.state', 'out.ffffffff.state']) writeFileSync(path(name), JSON.stringify(claimed))
  writeFileSync(path('out.11111111.state'), '')
  await new StateFile(path()).removeStray()
  expect(readdirSync(dir).sort()).toEqual([...foreign, 'out.00000000.state'].sort())
})
