// Set-up of a clone: dependencies, then the build.
// It imports only modules of Node, because no others are installed yet.

import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const MIN_NODE = [20, 19]
/** Exists while one process installs or builds. */
const LOCK = '.setup-lock'
/** Its modification time is the start of the last build. */
const STAMP = 'dist/.built'

/** The stream for progress; stderr for commands that write results to stdout. */
let progressStream = 'stdout'

/** Writes one line of progress. */
export function report(line) {
  process[progressStream].write(`inferq: ${line}\n`)
}

/** Exits with a message and a code; allowed only before other processes are started. */
export function exitWith(message, code = 1) {
  process.stderr.write(`inferq: ${message}\n`)
  process.exit(code)
}

/** Installs and builds what is missing or out of date. @param stream stdout or stderr, for progress */
export function setUp(stream = 'stdout') {
  progressStream = stream
  checkNode()
  process.chdir(root)
  if (areDependenciesInstalled() && isBuilt()) return
  lock()
  try {
    if (!areDependenciesInstalled()) install()
    if (!isBuilt()) build()
  } finally {
    rmSync(LOCK, { force: true })
  }
}

/** Waits until no other process sets this clone up: two installations at the same time destroy each other. */
function lock() {
  let reported = false
  for (;;) {
    const temporary = `${LOCK}-${process.pid}`
    try {
      writeFileSync(temporary, `${process.pid}`)
      linkSync(temporary, LOCK)
      return
    } catch (error) {
      if (error.code !== 'EEXIST') {
        exitWith(
          `the folder ${root} cannot be written to (${error.code}), and it is not installed and built yet.\n` +
            'Run the same command as a user who may write there, or in a copy of the folder.',
        )
      }
    } finally {
      rmSync(temporary, { force: true })
    }
    const owner = readOwner()
    if (owner !== undefined && !isAlive(owner)) {
      rmSync(LOCK, { force: true })
      continue
    }
    if (!reported) report(`waiting for another set-up of this folder (process ${owner}) …`)
    reported = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function readOwner() {
  try {
    return Number(readFileSync(LOCK, 'utf8'))
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Exits when this Node is too old. */
export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return
  exitWith(`Node ${process.versions.node} is too old: ${MIN_NODE.join('.')} or newer is needed (https://nodejs.org).`)
}

/** Whether node_modules matches package-lock.json. Optional packages may be missing: some are for other platforms. */
function areDependenciesInstalled() {
  const installedLock = 'node_modules/.package-lock.json'
  if (!existsSync(installedLock)) return false
  const installed = readPackages(installedLock)
  return Object.entries(readPackages('package-lock.json')).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  )
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

function install() {
  report('installing dependencies (npm ci); the first time takes a minute …')
  // --include=dev: the build needs the compiler, also when NODE_ENV is "production".
  const result = npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
  if (result.status === 0) return removeOtherPlatforms()
  exitWith('"npm ci" failed (see above). Check the connection to the npm registry, then run the same command again.')
}

/** ONNX Runtime contains the libraries of every platform: 220 MB that this machine never loads. */
function removeOtherPlatforms() {
  const dir = 'node_modules/onnxruntime-node/bin/napi-v6'
  const kept = [process.platform, process.arch]
  const remove = (parent, name) =>
    readdirSync(parent).forEach((each) => {
      if (each !== name) rmSync(join(parent, each), { recursive: true, force: true })
    })
  if (!existsSync(join(dir, ...kept))) return
  remove(dir, kept[0])
  remove(join(dir, kept[0]), kept[1])
}

/** Runs npm: the one that started this process, or else the one on PATH. */
export function npm(args, env = process.env) {
  const options = { stdio: ['ignore', progressStream === 'stdout' ? 1 : 2, 2], env }
  const cli = process.env.npm_execpath
  if (cli?.endsWith('npm-cli.js')) return spawnSync(process.execPath, [cli, ...args], options)
  return spawnSync('npm', args, options)
}

function isBuilt() {
  if (!existsSync(STAMP)) return false
  const since = statSync(STAMP).mtimeMs
  const inputs = ['package-lock.json', 'bin/build.mjs', 'src']
  return inputs.every((path) => newest(path) <= since)
}

/** The latest modification under a path, in milliseconds since 1970; a removed file changes its folder. */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

function build() {
  report('building …')
  const began = new Date()
  // The output of a moved or deleted source must not remain in dist.
  rmSync('dist', { recursive: true, force: true })
  const result = npm(['run', '--silent', 'build'])
  if (result.status !== 0) {
    exitWith(
      'the build failed (see above). If you did not change the sources, delete node_modules and dist, then run it again.',
    )
  }
  // The stamp has the start of the build, so that sources that changed during it are built the next time.
  writeFileSync(STAMP, `${began.toISOString()}\n`)
  utimesSync(STAMP, began, began)
}
