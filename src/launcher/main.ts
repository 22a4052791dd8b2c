// The process of `npm start` and `inferq serve`: runs Redis, the api and the workers until Ctrl-C.
import { resolve } from 'node:path'
import { aborted } from '../async.ts'
import { SettingsError } from '../env.ts'
import { messageOf, StartupError } from '../errors.ts'
import { EXIT_CONFIG } from '../lifecycle.ts'
import { modelNameOf } from '../worker/models/wanted-model.ts'
import { openInBrowser } from './browser.ts'
import { type Arguments, readArguments, remediesOf } from './command.ts'
import { hubCache, inspectModels, settingsOfModels, settingsWithoutModels } from './given-models.ts'
import { RedisNotFoundError } from './redis-binary.ts'
import { RedisStartError } from './redis-data-lock.ts'
import { type LauncherConfig, readLauncherConfig } from './settings.ts'
import { Stack } from './stack.ts'

/** Errors that a user can fix: only the message is printed. */
const USER_ERRORS = [SettingsError, StartupError, RedisNotFoundError, RedisStartError]

// The command `inferq serve` has its name as the first argument; otherwise npm started this process.
const isServe = process.argv[2] === 'serve'
// npm runs its scripts in the folder of the package.
const base = isServe ? process.cwd() : (process.env['INIT_CWD'] ?? process.cwd())
try {
  const given = readArguments(process.argv.slice(isServe ? 3 : 2), isServe, base)
  if (typeof given === 'number') process.exitCode = given
  else await run(given, await environmentOf(given))
} catch (error) {
  if (!USER_ERRORS.some((kind) => error instanceof kind)) throw error
  process.stderr.write(`inferq: ${messageOf(error)}\n`)
  process.exitCode = error instanceof SettingsError ? EXIT_CONFIG : 1
}

/** The environment with the settings of the arguments, which take precedence. */
async function environmentOf({ models, env }: Arguments): Promise<NodeJS.ProcessEnv> {
  const given = { ...process.env, ...env }
  const own = isServe ? await settingsWithoutModels(given) : {}
  if (models.length === 0) return { ...given, ...own }
  const dirs = readLauncherConfig({ ...given, ...own }).modelsDirs
  return { ...given, ...own, ...settingsOfModels(models, dirs, base) }
}

async function run({ models, open }: Arguments, env: NodeJS.ProcessEnv): Promise<void> {
  const closing = new AbortController()
  const settings = readLauncherConfig(env)
  const dataDir = resolve(settings.dataDir)
  const stack = new Stack({
    settings,
    env,
    dataDir,
    print,
    remedies: remediesOf(isServe),
    prepare: async (signal) => {
      if (models.length > 0) await inspectModels(settings, hubCache(env, dataDir), print, signal)
    },
    onGivenUp: (name, reason) => {
      print(`the ${name} ${reason} (see above); stopping`)
      process.exitCode = reason === 'rejects its settings' ? EXIT_CONFIG : 1
      closing.abort()
    },
  })
  onSignals(closing, () => stack.kill())
  try {
    await Promise.race([stack.start(), aborted(closing.signal)])
    if (!closing.signal.aborted) {
      console.log(readyMessage(stack, dataDir, settings))
      if (open) await openPage(`${stack.address}/`)
    }
    await aborted(closing.signal)
  } finally {
    await stack.stop()
  }
  print('stopped')
}

async function openPage(url: string): Promise<void> {
  const reason = await openInBrowser(url, process.env)
  if (reason !== undefined) print(`${url} is not opened: ${reason}`)
}

/** The first signal starts a graceful stop; a later one kills the processes. */
function onSignals(closing: AbortController, kill: () => void): void {
  let first = 0
  const onSignal = () => {
    if (closing.signal.aborted) {
      // The terminal sends a Ctrl-C to this process, and npm forwards it again: within 500 ms it is the same signal.
      if (Date.now() - first > 500) kill()
      return
    }
    first = Date.now()
    print('stopping … (press Ctrl-C again to kill all processes)')
    closing.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  if (process.env['npm_lifecycle_event']) onParentLost(closing.signal, onSignal)
}

/** npm sends a SIGTERM to the shell that runs this process; the shell exits without forwarding it. */
function onParentLost(closing: AbortSignal, onSignal: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => process.ppid !== parent && onSignal(), 500)
  // A start that fails ends the process.
  timer.unref()
  closing.addEventListener('abort', () => clearInterval(timer))
}

function print(line: string): void {
  console.log(`inferq: ${line}`)
}

function readyMessage({ address, privateRedis }: Stack, dataDir: string, config: LauncherConfig): string {
  const { adminUser, adminPassword, apiKeys, apiKeysFile, defaultModel, models } = config
  const isGiven = adminPassword !== undefined && adminPassword !== 'new'
  const password = isGiven ? 'as in ADMIN_PASSWORD' : 'shown when it was generated; ADMIN_PASSWORD=new: another'
  const names = models.map(modelNameOf)
  const [first = defaultModel] = names
  const model = names.length === 0 || names.includes(defaultModel) ? '' : `&model=${encodeURIComponent(first)}`
  const key = apiKeys.length > 0 || apiKeysFile ? " -H 'Authorization: Bearer SECRET'" : ''
  return `
inferq is ready.

  Page        ${address}/
  Predict     curl '${address}/predict?text=The%20boy%20is%20sitting%20on%20a%20bench${model}'${key}
  API docs    ${address}/docs
  Dashboard   ${address}/admin/queues (user ${adminUser}, password: ${password})
  Data        ${dataDir}${privateRedis === undefined ? '' : `\n  Redis       redis-cli -u ${privateRedis}`}

Press Ctrl-C to stop; the data is kept.
`
}
