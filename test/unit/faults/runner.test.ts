// The runner of the scenarios: a broken promise is reported as broken, and what was started is stopped.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { AckLog } from '../../faults/runner/ack-log.ts'
import { Period } from '../../faults/runner/loops.ts'
import { tableOf, writePage } from '../../faults/runner/report.ts'
import { runScenario } from '../../faults/runner/run-scenario.ts'
import type { Scenario } from '../../faults/runner/scenario.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-runner-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const run = (scenario: Scenario['run']) =>
  runScenario({ number: 1, name: 'test', promise: 'It holds.', run: scenario }, 'short')

it('keeps what was acknowledged in a file', () => {
  const path = join(dir, 'acks')
  const log = new AckLog(path)
  log.record('a')
  log.record('b')
  expect(readFileSync(path, 'utf8')).toBe('a\nb\n')
  log.close()
  const again = new AckLog(path)
  again.record('c')
  expect(again.read()).toEqual(['a', 'b', 'c'])
  again.close()
})

it('reports each check that does not hold, and an error, as broken', async () => {
  const kept = await run(async () => ({ faults: 'none', figure: '1', checks: [['it is 1', true]] }))
  expect(kept).toMatchObject({ broken: [], figure: '1' })
  const broken = await run(async () => ({
    faults: '',
    figure: '',
    checks: [
      ['a', true],
      ['b is lost', false],
    ],
  }))
  expect(broken.broken).toEqual(['b is lost'])
  const failed = await run(async () => {
    throw new Error('no worker', { cause: new Error('no memory') })
  })
  expect(failed.broken).toEqual(['no worker (no memory)'])
  const table = tableOf([kept, broken])
  expect(table).toContain('| kept |')
  expect(table).toContain('| **broken**: b is lost |')
})

it('stops what a scenario has started, the last first, also when it fails', async () => {
  const stopped: string[] = []
  await run(async ({ onEnd }) => {
    onEnd(() => stopped.push('first'))
    onEnd(() => Promise.reject(new Error('already gone')))
    onEnd(() => stopped.push('second'))
    throw new Error('fails')
  })
  expect(stopped).toEqual(['second', 'first'])
})

it('ends all loops of a period, and throws the error of a task', async () => {
  let calls = 0
  await new Period().every(1, () => (calls += 1)).last(50)
  const before = calls
  expect(before).toBeGreaterThan(0)
  const failing = new Period().every(1, () => Promise.reject(new Error('the task failed')))
  await expect(failing.last(600_000)).rejects.toThrow('the task failed')
  expect(calls).toBe(before)
})

it('replaces the part of a page between its marks alone', () => {
  const path = join(dir, 'page.md')
  writeFileSync(path, '# Title\n<!-- figures -->\nold\n<!-- end of figures -->\nrest\n')
  writePage('figures', 'new', path)
  expect(readFileSync(path, 'utf8')).toBe('# Title\n<!-- figures -->\n\nnew\n\n<!-- end of figures -->\nrest\n')
  expect(() => writePage('others', 'new', path)).toThrow('marks')
})
