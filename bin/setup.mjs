// What a fresh clone lacks: the dependencies, then the build. Only Node's own modules, since nothing else is there yet.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const WANTED_NODE = [20, 19]
const STAMP = 'dist/.built'

/** Where setting up tells what it does; a command whose stdout is data has it told on stderr. */
let voice = 'stdout'

/** One line for the person who waits. */
export function say(line) {
  process[voice].write(`inferq: ${line}\n`)
}

/** Ends the process with one clear message; only for use before anything has been started. */
export function giveUp(message) {
  process.stderr.write(`inferq: ${message}\n`)
  process.exit(1)
}

/** Installs and builds what is missing or out of date; returns at once when nothing is. @param tellOn stdout or stderr */
export function setUp(tellOn = 'stdout') {
  voice = tellOn
  checkNode()
  process.chdir(root)
  if (!dependenciesInstalled()) install()
  if (!built()) build()
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > WANTED_NODE[0] || (major === WANTED_NODE[0] && minor >= WANTED_NODE[1])) return
  giveUp(`Node ${process.versions.node} is too old: ${WANTED_NODE.join('.')} or newer is needed (https://nodejs.org).`)
}

/** Whether node_modules holds what package-lock.json names. Optional packages are those of other platforms. */
function dependenciesInstalled() {
  const present = 'node_modules/.package-lock.json'
  if (!existsSync(present)) return false
  const have = readPackages(present)
  return Object.entries(readPackages('package-lock.json')).every(
    ([path, entry]) => path === '' || entry.optional || have[path]?.version === entry.version,
  )
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

function install() {
  say('installing dependencies (npm ci); the first time takes a minute …')
  // --include=dev: the build needs the compiler, also where NODE_ENV is "production".
  const done = npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
  if (done.status === 0) return
  giveUp('"npm ci" failed (see above). Check that the npm registry can be reached, then run the same command again.')
}

/** Runs npm itself: the one that started us, or else the one on PATH. */
export function npm(args, env = process.env) {
  const options = { stdio: ['ignore', voice === 'stdout' ? 1 : 2, 2], env }
  const cli = process.env.npm_execpath
  if (cli?.endsWith('npm-cli.js')) return spawnSync(process.execPath, [cli, ...args], options)
  return spawnSync('npm', args, options)
}

function built() {
  if (!existsSync(STAMP)) return false
  const since = statSync(STAMP).mtimeMs
  const inputs = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'src']
  return inputs.every((path) => newest(path) <= since)
}

/** The latest change under a path, folders included: a removed file changes its folder. Milliseconds since 1970. */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

function build() {
  say('building …')
  const began = new Date()
  // A file whose source was moved must not remain in dist.
  rmSync('dist', { recursive: true, force: true })
  const done = npm(['run', '--silent', 'build'])
  if (done.status !== 0) {
    giveUp(
      'the build failed (see above). If you did not change the sources: delete node_modules and dist and run it again.',
    )
  }
  // The stamp says when the build began, so that what changed while it ran is built next time.
  writeFileSync(STAMP, `${began.toISOString()}\n`)
  utimesSync(STAMP, began, began)
}
