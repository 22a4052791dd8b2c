// The lock on the data directory of `npm start`, taken by several processes at the same moment.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DirectoryLock } from '../../src/launcher/directory-lock.ts'

interface Details {
  note: string
}

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-lock-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

const never = async () => false
const always = async () => true

test('is held by one, released with its file, and taken again', async () => {
  const first = await DirectoryLock.acquire<Details>(dir, always, { note: 'first' })
  if (!('lock' in first)) throw new Error('not acquired')
  expect(await DirectoryLock.acquire<Details>(dir, always, {})).toEqual({
    heldBy: { owner: process.pid, note: 'first' },
  })
  first.lock.release()
  const second = await DirectoryLock.acquire<Details>(dir, always, { note: 'second' })
  expect(second).toHaveProperty('lock')
})

test('of an owner that died is taken, with the details that it left', async () => {
  writeFileSync(join(dir, 'owner.json'), JSON.stringify({ owner: 1, note: 'left' }))
  const taken = await DirectoryLock.acquire<Details>(dir, never, {})
  expect(taken).toMatchObject({ lock: { details: { note: 'left' } } })
})

test('goes to exactly one of eight processes that take it at the same moment, also from an owner that died', async () => {
  const program = `
    import { DirectoryLock } from ${JSON.stringify(resolve('src/launcher/directory-lock.ts'))}
    process.stdout.write('ready\\n')
    process.stdin.once('data', async () => {
      const isAlive = async ({ owner }) => { try { return process.kill(owner, 0) } catch { return false } }
      const acquired = await DirectoryLock.acquire(${JSON.stringify(dir)}, isAlive, {})
      process.stdout.write('lock' in acquired ? 'acquired\\n' : 'refused\\n')
    })`
  for (let round = 0; round < 3; round++) {
    const takers = Array.from({ length: 8 }, () => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program])
      const lines: string[] = []
      createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
      return { child, lines }
    })
    const linesReach = (count: number) =>
      Promise.all(takers.map((taker) => untilLines(taker.child, taker.lines, count)))
    await linesReach(1)
    for (const { child } of takers) child.stdin.write('go\n')
    await linesReach(2)
    expect(takers.filter(({ lines }) => lines[1] === 'acquired')).toHaveLength(1)
    // All die, so that the next round takes the lock from an owner that died.
    for (const { child } of takers) child.kill('SIGKILL')
    await Promise.all(takers.map(({ child }) => once(child, 'exit')))
  }
})

async function untilLines(child: ReturnType<typeof spawn>, lines: string[], count: number): Promise<void> {
  while (lines.length < count) {
    if (child.exitCode !== null) throw new Error(`a process ended with ${child.exitCode}`)
    await new Promise((wake) => setTimeout(wake, 20))
  }
}
