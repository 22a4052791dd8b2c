// A complete partial output gets its name, after a crash at any step too.
import { existsSync, linkSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { identityOf } from '../../../../../src/cli/batch/files/identity.ts'
import { isOwnOutput, publish } from '../../../../../src/cli/batch/files/publish.ts'
import { runFiles } from '../../../../../src/cli/batch/files/run-files.ts'
import { owned, type RunningState, StateFile } from '../../../../../src/cli/batch/files/state.ts'
import type { FileTarget } from '../../../../../src/cli/batch/files/target.ts'

let dir: string
let target: FileTarget
let partial: string
let stateFile: StateFile

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-publish-'))
  target = { kind: 'file', path: join(dir, 'out'), name: 'out' }
  partial = runFiles(target.path, '0123abcd').partial
  stateFile = new StateFile(target.path)
  writeFileSync(partial, 'rows')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const content = () => readFileSync(target.path, 'utf8')
const running = (more: Partial<RunningState> = {}): RunningState => ({
  ...owned({
    token: '0123abcd',
    stage: 'running',
    how: 'h',
    written: 1,
    bytes: 4,
    failed: 0,
    sent: {},
    plan: { total: 1, parts: [], names: [], hasMoreNames: false, digest: 'd' },
  } as const),
  ...more,
})
const markOf = async (path: string) => (await identityOf(path))?.mark ?? ''

it('gives it the name, and records the output', async () => {
  const state = await publish(target, running(), stateFile)
  expect([content(), existsSync(partial), state.output]).toEqual(['rows', false, await markOf(target.path)])
})

it('replaces an empty file', async () => {
  writeFileSync(target.path, '')
  await publish(target, running(), stateFile)
  expect(content()).toBe('rows')
})

it('replaces the results of the run before, unless they have been edited', async () => {
  writeFileSync(target.path, 'old results')
  const output = await markOf(target.path)
  const previous = owned({
    token: 'ffffffff',
    stage: 'finished',
    digest: 'd',
    how: 'h',
    written: 1,
    failed: 0,
    finishedAt: '',
    output,
  } as const)
  expect(isOwnOutput({ mark: output, size: 11, mode: 0, place: '' }, running({ previous }))).toBe(true)
  writeFileSync(target.path, 'edited results')
  await expect(publish(target, running({ previous }), stateFile)).rejects.toThrow('another program')
  expect([content(), readFileSync(partial, 'utf8')]).toEqual(['edited results', 'rows'])
})

it.each<[string, () => void]>([
  ['before the name', () => undefined],
  ['between the two names', () => linkSync(partial, target.path)],
  ['after the name', () => renameSync(partial, target.path)],
])('completes after a crash %s', async (_when, crash) => {
  const state = running({ completed: await markOf(partial) })
  crash()
  expect((await publish(target, state, stateFile)).output).toBe(await markOf(target.path))
  expect([content(), existsSync(partial)]).toEqual(['rows', false])
})

it('refuses another file when the partial output is gone', async () => {
  const state = running({ completed: await markOf(partial) })
  rmSync(partial)
  writeFileSync(target.path, 'mine')
  await expect(publish(target, state, stateFile)).rejects.toThrow('out has changed')
  expect(content()).toBe('mine')
})
