// `inferq serve`, and `npm start` with the same arguments: a user's model in one step, and one message for each mistake.
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { FakeHub } from '../helpers/fake-hub.ts'
import { listeningAddresses } from '../helpers/processes.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

const launcher = resolve('dist/launcher/main.js')
const TINY = resolve('test/fixtures/models/tiny-fp32')
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']
const READY = /^inferq is ready/
/** Every process starts, on a busy machine. */
const START_MS = 90_000
const TEST_MS = 150_000
let dir: string
let port: number
let running: StartedProcess[]
let hub: FakeHub | undefined

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-serve-'))
  port = await freePort()
  running = []
  hub = undefined
  cpSync(TINY, join(dir, 'My Model'), { recursive: true })
  // As `optimum-cli export onnx` writes it.
  renameSync(join(dir, 'My Model/onnx/model.onnx'), join(dir, 'My Model/model.onnx'))
})

afterEach(async () => {
  await Promise.all(running.map((process) => process.stop()))
  await hub?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function start(args: string[], env: Record<string, string | undefined> = {}, until = READY) {
  const started = await startProcess(launcher, {
    args,
    cwd: dir,
    env: {
      REDIS_URL: undefined,
      INIT_CWD: undefined,
      npm_lifecycle_event: undefined,
      ADMIN_PASSWORD: undefined,
      MODELS_DIR: undefined,
      MONITOR_PORT: '0',
      INFERENCE_PROCESSES: '1',
      ...env,
    },
    readyLine: (line) => until.test(line),
    within: START_MS,
  })
  running.push(started)
  return started
}

/** For starts that fail: the exit code and the lines, without those of progress. */
async function refused(args: string[], env: Record<string, string | undefined> = {}) {
  const failed = await start(args, env, /^inferq: (?!found|starting)/)
  const code = await failed.ended
  return { code, lines: failed.lines.filter((line) => !line.startsWith('Help: ')) }
}

async function ask(path: string): Promise<unknown> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).json()
}

test('serves a folder of the layout of optimum as the default model, on this machine only', {
  timeout: TEST_MS,
}, async () => {
  const browser = join(dir, 'xdg-open')
  writeFileSync(browser, `#!/bin/sh\necho "$1" > '${join(dir, 'opened')}'\n`)
  chmodSync(browser, 0o755)
  const env = { DISPLAY: ':0', WSL_DISTRO_NAME: undefined, PATH: `${dir}:${process.env['PATH']}` }
  const args = ['serve', './My Model', TINY, '--port', String(port), '--workers', '2', '--data', 'kept', '--open']
  const started = await start(args, env)
  const output = started.lines.join('\n')
  expect(output).toContain(`found ${join(dir, 'My Model')}: "my-model", bert, model.onnx of 0.4 MB`)
  expect(output).toContain('single-label (softmax), labels negative, positive; at most 512 tokens a text')
  expect(output).toContain(`Data        ${join(dir, 'kept')}`)
  const { default_model, workers } = (await ask('/info')) as { default_model: string; workers: unknown[] }
  expect([default_model, workers.length]).toEqual(['my-model', 2])
  const address = new URL(/curl '([^']+)'/.exec(output)?.[1] ?? '')
  expect(await ask(address.pathname + address.search)).toMatchObject([{ label: expect.any(String) }, {}])
  expect(await ask('/predict?text=a&model=tiny-fp32')).toMatchObject([{}, {}])
  await waitFor('the page in the browser', () => existsSync(join(dir, 'opened')))
  expect(readFileSync(join(dir, 'opened'), 'utf8')).toBe(`http://localhost:${port}/\n`)
  // The api, two workers and Redis.
  const addresses = await listeningAddresses(started.child.pid ?? 0)
  expect(addresses).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.1'])
  expect(await started.stop()).toBe(0)
})

test('npm start takes the same arguments, from the folder where npm was started', { timeout: TEST_MS }, async () => {
  const started = await start(['./My Model', '-p', String(port)], { INIT_CWD: dir })
  expect(started.lines.join('\n')).toMatch(/found .*"my-model"/)
  expect(await ask('/predict?text=a')).toMatchObject([{}, {}])
})

test('downloads a model of the Hub before it starts', { timeout: TEST_MS }, async () => {
  hub = await new FakeHub().start()
  const files = Object.fromEntries(FILES.map((file) => [file, readFileSync(join(TINY, file))]))
  hub.repositories.set('Some-One/Tiny', { commit: 'c'.repeat(40), files })
  const env = { HF_ENDPOINT: hub.url, HF_TOKEN: undefined, MODELS_CACHE: undefined }
  const started = await start(['serve', 'Some-One/Tiny@main', '--port', String(port)], env)
  expect(started.lines.join('\n')).toMatch(/downloading Some-One\/Tiny.*s …\n[\s\S]*found Some-One\/Tiny@main: "tiny"/)
  expect(await ask('/predict?text=a')).toMatchObject([{}, {}])
  expect(existsSync(join(dir, '.data/hub/Some-One/Tiny'))).toBe(true)
})

const mistakes: [string, string[], number, RegExp][] = [
  [
    'a folder that does not exist',
    ['./nowhere'],
    1,
    /^inferq: \.\/nowhere: there is no such folder, and a model of the Hub/,
  ],
  [
    'a folder without ONNX',
    ['./pytorch'],
    1,
    /^inferq: cannot serve .*pytorch: neither onnx\/model_quantized\.onnx nor /,
  ],
  ['an unknown option', ['--prot', '8001'], 2, /^inferq: unknown option '--prot'$/],
  ['a Redis that is no URL', ['--redis', 'u:SECRET@h'], 78, /^inferq: invalid settings:$/],
]

test.each(mistakes)('ends with one message: %s', async (_what, args, code, message) => {
  cpSync(TINY, join(dir, 'pytorch'), { recursive: true })
  rmSync(join(dir, 'pytorch/onnx'), { recursive: true })
  const end = await refused(['serve', ...args])
  expect(end.lines[0]).toMatch(message)
  expect(end.code).toBe(code)
  expect(end.lines.length).toBeLessThanOrEqual(2)
  expect(end.lines.join('\n')).not.toContain('SECRET')
})

test('ends when the port is taken, with another one to use', async () => {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    const { code, lines } = await refused(['serve', '--port', String(port)])
    expect(code).toBe(1)
    expect(lines).toEqual([
      `inferq: port ${port} is taken by another program; stop it, or use another port: inferq serve --port ${port + 1}`,
    ])
  } finally {
    server.close()
  }
})

test('uses the Redis of --redis', { timeout: TEST_MS }, async () => {
  const started = await start(['serve', TINY, '--port', String(port), '--redis', inject('redisUrl')], {
    KEY_PREFIX: 'serve-test',
  })
  expect(started.lines.join('\n')).not.toContain('redis-cli -u')
  expect(await ask('/predict?text=a')).toMatchObject([{}, {}])
})
