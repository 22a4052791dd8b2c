// `npm run test:package`: packs inferq, installs the package into an empty folder, and uses it there as a user does.
// The last line is "N passed, N failed".

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAX_PACKAGE_MB = 10
/** Processes start on a busy machine. */
const START_SECONDS = 180
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const dir = mkdtempSync(join(tmpdir(), 'inferq-package-'))
const user = join(dir, 'empty')
const port = await freePort()
// Nothing of the clone or of the npm that runs this test reaches the user's commands.
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_|INIT_CWD|REDIS_URL|MODELS|INFERQ_|DEFAULT_MODEL)/i.test(name),
  ),
)
Object.assign(env, { INFERQ_URL: `http://localhost:${port}`, MONITOR_PORT: '0', INFERENCE_PROCESSES: '1' })
const count = { passed: 0, failed: 0 }
let tarball
let server
let output = ''

try {
  await everything()
} finally {
  if (server?.exitCode === null) server.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
  console.log(`${count.passed} passed, ${count.failed} failed`)
  process.exitCode = count.failed > 0 ? 1 : 0
}

async function everything() {
  mkdirSync(user)
  if (!(await check('npm run package packs what is needed, and no more', packs))) return
  if (!(await check('the package is installed into an empty folder', installs))) return
  await check('models check loads the shipped model', () => {
    const checked = inferq('models', 'check', 'node_modules/inferq/models/sentiment-small')
    must(/loaded and warmed up/.test(checked), checked)
  })
  if (!(await check('serve starts with the shipped model as the default one', serves))) return
  await check('the page and its modules are served', async () => {
    for (const path of ['', 'web/app.js', 'web/styles/base.css', 'web/uplot/uPlot.esm.js']) {
      const { status } = await fetch(`http://127.0.0.1:${port}/${path}`)
      must(status === 200, `/${path} answered ${status}`)
    }
  })
  await check('predict classifies a text', () => {
    const { label } = JSON.parse(inferq('predict', '--json', 'a moving and funny film'))
    must(label === 'positive', `the label is ${label}`)
  })
  await check('inferq/client is imported, with types that its users check', imports)
  await check('doctor finds no problem', () => {
    const { problems, findings } = JSON.parse(inferq('doctor', '--json'))
    must(problems === 0 && findings.length > 8, JSON.stringify(findings))
  })
  await check('batch classifies a file', () => {
    writeFileSync(join(user, 'in.csv'), 'id,review\n1,A moving and funny film.\n2,Two hours of my life are gone.\n')
    inferq('batch', 'in.csv', '--column', 'review', '--output', 'out.csv')
    const rows = readFileSync(join(user, 'out.csv'), 'utf8').trim().split('\n')
    must(rows.length === 3 && rows[1].includes('positive') && rows[2].includes('negative'), rows.join('\n'))
  })
  await check('Ctrl-C stops every process', stops)
  await check('serve takes a folder of the user', async () => {
    cpSync(join(user, 'node_modules/inferq/models/sentiment-small'), join(user, 'Mine'), { recursive: true })
    await serves('./Mine')
    must(/found .*Mine: "mine", bert/.test(output), output)
    await stops()
  })
}

function packs() {
  const packed = run('npm', ['run', '--silent', 'package', '--', '--json', '--pack-destination', dir], root)
  const [{ filename, files, size, unpackedSize }] = JSON.parse(packed.slice(packed.indexOf('[')))
  console.log(`    ${files.length} files, ${megabytes(size)} packed, ${megabytes(unpackedSize)} unpacked`)
  const paths = files.map(({ path }) => path)
  for (const needed of [
    'bin/inferq.mjs',
    'dist/api/main.js',
    'dist/worker/inference/main.js',
    'dist/client/exports.js',
    'dist/client/exports.d.ts',
    'web/index.html',
    'web/app.js',
    'web/styles/base.css',
    'NOTICE',
  ])
    must(paths.includes(needed), `${needed} is missing`)
  must(!paths.some((path) => /^(src|test|bench|node_modules|models\/cola)\//.test(path)), paths.join('\n'))
  must(size < MAX_PACKAGE_MB * 1e6, `${megabytes(size)} is too much`)
  tarball = join(dir, filename)
}

function installs() {
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  run('npm', ['install', ...options, tarball], user)
  console.log(`    ${megabytes(sizeOf(join(user, 'node_modules')))} installed`)
}

/** The types are checked as a strict user without the types of Node does, and a wrong use is an error. */
function imports() {
  const source = `
    import { Inferq, InferqError, verifyWebhook, type BatchRow, type LabelScore } from 'inferq/client'
    const inferq = new Inferq({ url: 'http://localhost:${port}' })
    const [best]: LabelScore[] = await inferq.predict('a moving and funny film')
    const rows: BatchRow<{ text: string }>[] = []
    for await (const row of inferq.batches.run([{ text: 'a' }, { text: 'b' }], { inputOf: ({ text }) => text })) rows.push(row)
    const isTyped = (error: unknown) => error instanceof InferqError && error.status
    console.log(best?.label, rows.length, isTyped(await inferq.predict('a', { model: 'none' }).catch((e) => e)), typeof verifyWebhook)`
  const checks = (name, text) => {
    writeFileSync(join(user, name), text)
    const options = ['--noEmit', '--ignoreConfig', '--strict', '--types', '', '--lib', 'es2022,dom,dom.asynciterable']
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    return spawnSync(process.execPath, [tsc, ...options, '--module', 'nodenext', '--target', 'es2022', name], {
      cwd: user,
      encoding: 'utf8',
    })
  }
  const right = checks('right.mts', source)
  must(right.status === 0, right.stdout)
  const wrong = checks('wrong.mts', source.replace('predict(', 'predict(1, '))
  must(/wrong.mts.*TS2345/.test(wrong.stdout), `a wrong argument is no error:\n${wrong.stdout}`)
  writeFileSync(join(user, 'right.mjs'), source.replace(/type \w+,?|: (LabelScore|BatchRow<[^>]*>)\[\]|: unknown/g, ''))
  const printed = run(process.execPath, ['right.mjs'], user)
  must(printed === 'positive 2 404 function\n', printed)
}

async function serves(...models) {
  output = ''
  server = spawn('npx', ['--no-install', 'inferq', 'serve', ...models, '--port', String(port)], {
    cwd: user,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (data) => (output += data))
  for (let waited = 0; !/^inferq is ready/m.test(output); waited += 0.25) {
    must(server.exitCode === null && waited < START_SECONDS, `not ready:\n${output}`)
    await delay(250)
  }
  const answer = await fetch(`http://127.0.0.1:${port}/predict?text=a%20moving%20and%20funny%20film`)
  must(answer.ok, `/predict answered ${answer.status}: ${output}`)
}

/** Sends what a terminal sends on Ctrl-C: a SIGINT to every process of the foreground. */
async function stops() {
  const ended = once(server, 'close')
  process.kill(-server.pid, 'SIGINT')
  await Promise.race([ended, delay(60_000)])
  must(server.exitCode !== null || server.signalCode !== null, `it does not end:\n${output}`)
  must(/^inferq: stopped$/m.test(output), output)
}

function inferq(...args) {
  return run('npx', ['--no-install', 'inferq', ...args], user)
}

/** @returns its standard output. @throws Error with all output when it fails. */
function run(program, args, cwd) {
  const done = spawnSync(program, args, {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  must(done.status === 0, `"${program} ${args.join(' ')}" ended with ${done.status}:\n${done.stdout}${done.stderr}`)
  return done.stdout
}

function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

async function check(what, task) {
  const began = Date.now()
  try {
    await task()
    count.passed += 1
    console.log(`ok      ${what} (${((Date.now() - began) / 1_000).toFixed(1)} s)`)
    return true
  } catch (error) {
    count.failed += 1
    console.log(`FAILED  ${what}: ${error.message}`)
    return false
  }
}

function must(fact, otherwise) {
  if (!fact) throw new Error(otherwise)
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function freePort() {
  return new Promise((resolve) => {
    const listener = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = listener.address()
      listener.close(() => resolve(free))
    })
  })
}
