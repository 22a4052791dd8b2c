// `npm start` as people start it, when it cannot go on: it prints one message and ends.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** Every process starts, on a busy machine. */
const START_MS = 90_000
const isReady = (output: string) => /^inferq is ready/m.test(output)

interface End {
  code: number | null
  lines: string[]
}

/** A copy of the clone in a folder with a space. */
let copy: string
let dir: string
let port: number
const ends: (() => Promise<unknown>)[] = []

beforeAll(() => {
  const parent = mkdtempSync(join(tmpdir(), 'inferq-clone-'))
  chmodSync(parent, 0o755)
  copy = join(parent, 'a folder & more')
  const names = ['bin', 'dist', 'src', 'web', 'package.json', 'package-lock.json', 'tsconfig.json', '.npmrc']
  for (const name of names) {
    cpSync(resolve(name), join(copy, name), { recursive: true, preserveTimestamps: true })
  }
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'))
  writeFileSync(join(copy, 'dist/.built'), '')
})

afterAll(() => rmSync(dirname(copy), { recursive: true, force: true }))

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-start-'))
  port = await freePort()
})

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()))
  rmSync(dir, { recursive: true, force: true })
})

interface Options {
  args?: string[]
  /** The program and its arguments; by default npm. */
  command?: string[]
  uid?: number
}

function npmStart(env: Record<string, string | undefined> = {}, options: Options = {}) {
  const [program = 'npm', ...before] = options.command ?? ['npm', 'start']
  const child = spawn(program, [...before, ...(options.args ?? [])], {
    cwd: copy,
    env: {
      ...process.env,
      REDIS_URL: undefined,
      DATA_DIR: dir,
      PORT: String(port),
      MONITOR_PORT: '0',
      MODELS_DIR: resolve('test/fixtures/models'),
      MODELS: 'tiny-fp32',
      DEFAULT_MODEL: 'tiny-fp32',
      INFERENCE_PROCESSES: '1',
      ...env,
    },
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)))
  const lines = () => output.split(/\r?\n/).filter((line) => line.startsWith('inferq'))
  const ended: Promise<End> = once(child, 'close').then(([code]) => ({ code: code as number | null, lines: lines() }))
  ends.push(async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    await ended
  })
  return {
    child,
    ended,
    output: () => output,
    ready: () => waitFor('readiness', () => isReady(output), { within: START_MS }),
  }
}

async function listening(): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  ends.push(async () => server.close())
  return server
}

test('starts and stops in a folder with a space, and refuses a second start', { timeout: 200_000 }, async () => {
  const first = npmStart()
  await first.ready()
  expect((await fetch(`http://127.0.0.1:${port}/predict?text=a`)).status).toBe(200)
  const second = await npmStart({ PORT: String(await freePort()) }).ended
  expect(second.code).toBe(1)
  expect(second.lines.at(-1)).toMatch(
    /^inferq: inferq is already running in this folder \(process \d+\); stop it first/,
  )
  first.child.kill('SIGTERM')
  await first.ended
})

test('of two starts at the same moment one is refused', { timeout: 200_000 }, async () => {
  const other = await freePort()
  const started = [npmStart(), npmStart({ PORT: String(other) })]
  const { code, lines } = await Promise.race(started.map(({ ended }) => ended))
  expect(code).toBe(1)
  expect(lines.at(-1)).toMatch(/already running in this folder/)
  await waitFor('readiness of the other', () => started.some(({ output }) => isReady(output())), {
    within: START_MS,
  })
})

test('ends when the port is taken', async () => {
  await listening()
  const { code, lines } = await npmStart().ended
  expect(code).toBe(1)
  expect(lines).toEqual(['inferq: starting …', expect.stringMatching(/^inferq: port \d+ is taken by another program/)])
})

test.skipIf(!existsSync('/usr/bin/script'))('ends in a terminal when the port is taken', async () => {
  await listening()
  const { code, lines } = await npmStart({}, { command: ['script', '-qec', 'npm start', '/dev/null'] }).ended
  expect(code).toBe(1)
  expect(lines.at(-1)).toMatch(/is taken by another program/)
})

test('ends without a Redis server on the PATH', async () => {
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  for (const name of ['node', 'npm', 'sh']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' })
    symlinkSync(stdout.trim(), join(bin, name))
  }
  const { code, lines } = await npmStart({ PATH: bin }).ended
  expect(code).toBe(1)
  expect(lines.at(-1)).toMatch(/no redis-server or valkey-server found; install Redis/)
})

test('waits for a Redis that is away, in one line, and then ends', async () => {
  const { code, lines } = await npmStart({ REDIS_URL: `redis://:secret@127.0.0.1:${port}` }).ended
  expect(code).toBe(1)
  expect(lines).toEqual([
    'inferq: starting …',
    `inferq: Redis at 127.0.0.1:${port} does not answer (ECONNREFUSED); trying again for 30 s …`,
    expect.stringMatching(/^inferq: Redis at .* does not answer \(ECONNREFUSED\); start it, or unset REDIS_URL/),
  ])
})

test('ends when Redis has no such database', async () => {
  const started = npmStart({ REDIS_URL: `${inject('redisUrl')}/99` })
  expect((await started.ended).code).toBe(78)
  expect(started.output()).toMatch(/REDIS_URL: Redis at .* has no database 99; use one below/)
})

test('refuses unknown options, with the known one', async () => {
  const { code, lines } = await npmStart({}, { args: ['--', '--prot', '24000'] }).ended
  expect(code).toBe(2)
  expect(lines).toEqual(['inferq: starting …', "inferq: unknown option '--prot'"])
})

test.each(['api', 'worker'])('the %s refuses arguments', async (program) => {
  const command = [process.execPath, resolve(`dist/${program}/main.js`), '--port', '80']
  const started = npmStart({ REDIS_URL: inject('redisUrl') }, { command })
  expect((await started.ended).code).toBe(78)
  expect(started.output()).toMatch(/arguments are not taken; settings are environment variables/)
})

test('two starts of a clone that is not built yet build it once', { timeout: 200_000 }, async () => {
  rmSync(join(copy, 'dist/.built'))
  const started = [
    npmStart({ DATA_DIR: join(dir, 'one') }),
    npmStart({ DATA_DIR: join(dir, 'two'), PORT: String(await freePort()) }),
  ]
  for (const { ready } of started) await ready()
  const output = started.map((each) => each.output()).join('\n')
  expect(output.match(/inferq: building/g)).toHaveLength(1)
  expect(existsSync(join(copy, '.setup-lock'))).toBe(false)
})

test.each(['/proc/data', '/etc/passwd/data'])('ends when the data directory is %s', async (dataDir) => {
  const { code, lines } = await npmStart({ DATA_DIR: dataDir }).ended
  expect(code).toBe(1)
  expect(lines.at(-1)).toMatch(
    /^inferq: DATA_DIR: the directory \/.* cannot be written to .*DATA_DIR=\/PATH npm start$/,
  )
})

test('ends when a process ends again and again before it is ready', async () => {
  const NODE_OPTIONS = `--import ${JSON.stringify(join(dir, 'crash-worker.mjs'))}`
  writeFileSync(join(dir, 'crash-worker.mjs'), 'if (/worker.main/.test(process.argv[1])) process.exit(3)')
  const { code, lines } = await npmStart({ NODE_OPTIONS }).ended
  expect(code).toBe(1)
  expect(lines).toContain('inferq: the worker does not start (see above); stopping')
})

/** An ordinary user: this one, or, of root, another. */
const uid = process.getuid?.() === 0 ? 65_534 : process.getuid?.()

test.skipIf(uid === undefined)(
  'starts from a folder that is read-only for its user, with another DATA_DIR',
  async () => {
    const home = join(dir, 'home')
    mkdirSync(home)
    chmodSync(dir, 0o777)
    chmodSync(home, 0o777)
    chmodSync(copy, 0o555)
    try {
      const options = uid === undefined ? {} : { uid }
      const refused = await npmStart({ HOME: home, DATA_DIR: undefined }, options).ended
      expect(refused.code).toBe(1)
      expect(refused.lines.at(-1)).toMatch(/DATA_DIR: the directory .*\.data cannot be written to \(EACCES\)/)

      const started = npmStart({ HOME: home, DATA_DIR: home }, options)
      await started.ready()
      expect(readdirSync(home)).toContain('redis')
      started.child.kill('SIGTERM')
      await started.ended

      chmodSync(join(copy, 'dist'), 0o777)
      rmSync(join(copy, 'dist/.built'))
      const unbuilt = await npmStart({ HOME: home, DATA_DIR: home }, options).ended
      expect(unbuilt.code).toBe(1)
      expect(unbuilt.lines.at(-1)).toMatch(/cannot be written to \(EACCES\), and it is not installed and built yet/)
    } finally {
      chmodSync(copy, 0o755)
    }
  },
)
