// `npm start` in a temporary folder.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

const start = resolve('dist/launcher/main.js')
let dir: string
let port: number
let running: StartedProcess[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-start-'))
  port = await freePort()
  running = []
})

afterEach(async () => {
  await Promise.all(running.map((process) => process.stop()))
  rmSync(dir, { recursive: true, force: true })
})

/** Resolves when a line of output matches `until`, by default the line that reports readiness. */
async function run(env: Record<string, string> = {}, until = /^inferq is ready/): Promise<StartedProcess> {
  const started = await startProcess(start, {
    cwd: dir,
    env: {
      REDIS_URL: undefined,
      ADMIN_PASSWORD: undefined,
      npm_lifecycle_event: undefined,
      PORT: String(port),
      MONITOR_PORT: '0',
      MODELS_DIR: resolve('test/fixtures/models'),
      MODELS: 'tiny-fp32',
      DEFAULT_MODEL: 'tiny-fp32',
      INFERENCE_PROCESSES: '1',
      ...env,
    },
    readyLine: (line) => until.test(line),
    within: 60_000,
  })
  running.push(started)
  return started
}

/** For starts that fail: resolves with the exit code and the output. */
async function refused(env: Record<string, string> = {}): Promise<{ code: number | NodeJS.Signals; said: string }> {
  const failed = await run(env, /^inferq: (?!starting)/)
  return { code: await failed.ended, said: failed.lines.join('\n') }
}

async function predict(): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/predict?text=The%20boy%20is%20sitting`)
}

test('prints all addresses, answers, and stops without leftover processes', async () => {
  const started = await run()
  const said = started.lines.join('\n')
  for (const place of ['/', `/predict?text=`, '/docs', '/admin/queues']) {
    expect(said).toContain(`http://localhost:${port}${place}`)
  }
  await waitFor('the login', () =>
    started.lines.find((line) => /generated a login.*password \S+ \(shown only once\)/.test(line)),
  )
  expect(said).toContain(join(dir, '.data'))
  expect((await predict()).status).toBe(200)

  expect(await started.stop()).toBe(0)
  expect(started.lines.at(-1)).toBe('inferq: stopped')
  await expect(predict()).rejects.toThrow('fetch failed')
})

test('keeps its data over a restart', async () => {
  const first = await run()
  const made = await fetch(`http://127.0.0.1:${port}/v1/predictions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Prefer: 'wait=20' },
    body: JSON.stringify({ input: { text: 'The boy is sitting' } }),
  })
  const { id } = (await made.json()) as { id: string }
  expect(await first.stop()).toBe(0)

  const second = await run()
  expect(second.lines.join('\n')).not.toMatch(/generated a login/)
  const kept = await fetch(`http://127.0.0.1:${port}/v1/predictions/${id}`)
  expect(await kept.json()).toMatchObject({ id, status: 'succeeded' })
})

test('orphaned processes stop after a kill, and the next start reads their data', async () => {
  const killed = await run()
  killed.child.kill('SIGKILL')
  await killed.ended
  await waitFor(
    'the api to notice',
    () =>
      predict().then(
        () => false,
        () => true,
      ),
    { within: 40_000 },
  )

  const next = await run()
  expect(next.lines.join('\n')).toMatch(/an earlier start ended without stopping its Redis/)
  expect((await predict()).status).toBe(200)
})

test('a killed worker is restarted', async () => {
  const started = await run()
  const { workers } = (await (await fetch(`http://127.0.0.1:${port}/info`)).json()) as { workers: { id: string }[] }
  const first = workers[0]?.id ?? ''
  // HOST-PID-RANDOM
  process.kill(Number(first.split('-').at(-2)), 'SIGKILL')
  await waitFor('the line that reports it', () => started.lines.find((line) => /worker ended unexpectedly/.test(line)))
  await waitFor(
    'another worker to answer',
    async () => {
      const answer = await predict()
      return answer.ok && answer.headers.get('x-worker') !== first
    },
    { within: 40_000 },
  )
})

test('an occupied port gives one message with the remedy', async () => {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    const { code, said } = await refused()
    expect(code).toBe(1)
    expect(said).toContain(`port ${port} is taken by another program; stop it, or use another port: PORT=${port + 1}`)
  } finally {
    server.close()
  }
})

test('all invalid settings of all programs are listed together', async () => {
  const { code, said } = await refused({ WORKERS: 'many', SHUTDOWN_GRACE: 'soon', MAX_INPUTS: 'lots' })
  expect(said).toMatch(/MAX_INPUTS: must be a whole number/)
  expect(code).toBe(78)
  expect(said).toMatch(/WORKERS: must be a whole number/)
  expect(said).toMatch(/SHUTDOWN_GRACE: must be a duration/)
})

test('a child with invalid settings stops all processes', async () => {
  const { code, said } = await refused({ MODELS_DIR: join(dir, 'none'), MODELS: '' })
  expect(code).toBe(78)
  expect(said).toMatch(/MODELS_DIR: no model found in/)
  expect(said).toMatch(/the worker rejects its settings \(see above\); stopping/)
})

test('the printed command names a model when the default one is not served', async () => {
  const started = await run({ DEFAULT_MODEL: 'cola', ADMIN_USER: 'me' })
  const address = /curl '([^']+)'/.exec(started.lines.join('\n'))?.[1] ?? ''
  expect(address).toMatch(/&model=tiny-fp32$/)
  expect((await fetch(address)).status).toBe(200)
  expect(started.lines.join('\n')).toMatch(/redis-cli -u redis:\/\/127\.0\.0\.1:\d+/)
})

test('a second start in the same folder is refused', async () => {
  const first = await run()
  const other = await freePort()
  const { code, said } = await refused({ PORT: String(other) })
  expect(code).toBe(1)
  expect(said).toMatch(/inferq is already running in this folder/)
  expect((await predict()).status).toBe(200)
  expect(await first.stop()).toBe(0)
})
