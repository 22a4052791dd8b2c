// The inference process yields to the processes that pass its texts on, whatever the niceness it is started with.
import { type ChildProcess, spawn } from 'node:child_process'
import { getPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { waitFor } from '../helpers/wait-for.ts'
import { standIn } from '../helpers/worker.ts'

const main = fileURLToPath(new URL('../../src/worker/inference/main.ts', import.meta.url))
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

let child: ChildProcess | undefined
afterEach(() => child?.kill('SIGKILL'))

/** @param step added to the niceness of this process before the program starts. */
function start(step: number): { started: ChildProcess; errors: () => string } {
  const command = [`${step}`, process.execPath, ...standIn.execArgv, main]
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  const started = spawn('nice', ['-n', ...command], { ...user, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let errors = ''
  started.stderr?.on('data', (data) => (errors += String(data)))
  child = started
  return { started, errors: () => errors }
}

it.each([
  [0, 5],
  [10, 15],
  [19, 19],
])('started with niceness %i by an ordinary user, it runs with niceness %i', async (step, expected) => {
  const { started, errors } = start(step)
  const wanted = Math.min(19, getPriority() + expected)
  await waitFor('its niceness', () => getPriority(started.pid) === wanted)
  const loaded = new Promise((resolve) => started.once('message', resolve))
  started.send({ kind: 'load', models: [], intraOpThreads: 1 })
  expect(await loaded).toEqual({ kind: 'loaded', models: [] })
  expect(errors()).toBe('')
})
