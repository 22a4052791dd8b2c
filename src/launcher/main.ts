// `npm start`: everything under one roof, until Ctrl-C.
import { resolve } from 'node:path'
import {
  describeTable,
  integer,
  oneOf,
  optional,
  port,
  readSettings,
  setting,
  SettingsError,
  text,
  timeout,
  url,
} from '../env.ts'
import { messageOf, StartupError } from '../errors.ts'
import { EXIT_CONFIG } from '../lifecycle.ts'
import { logLevels } from '../logger.ts'
import { RedisNotFoundError } from './redis-binary.ts'
import { RedisStartError } from './redis-data-lock.ts'
import { Stack } from './stack.ts'
import { describeSettings } from './settings-help.ts'
import { aborted } from '../async.ts'

const settings = {
  workers: setting('WORKERS', '1', integer(0, 64), 'how many workers are started; 0: they run elsewhere'),
  redisUrl: setting('REDIS_URL', undefined, optional(url('redis:', 'rediss:')), 'unset: a private Redis is started'),
  host: setting('HOST', '127.0.0.1', text, 'the address that the api listens on'),
  port: setting('PORT', '8000', integer(1, 65_535), 'the port of the api'),
  monitorPort: setting('MONITOR_PORT', undefined, optional(port), 'health and metrics of the first worker'),
  shutdownGrace: setting('SHUTDOWN_GRACE', '30s', timeout, 'how long a process may take to stop'),
  logLevel: setting('LOG_LEVEL', 'warn', oneOf(logLevels), 'what the api and the workers tell'),
}

/** What a person can put right: its message says how, and a stack would only hide it. */
const expected = [SettingsError, StartupError, RedisNotFoundError, RedisStartError]

if (process.argv.includes('--help')) console.log(help())
else await run()

async function run(): Promise<void> {
  const closing = new AbortController()
  try {
    const roof = new Stack({
      settings: readSettings(settings, process.env),
      env: process.env,
      dataDir: resolve('.data'),
      say,
      onRefused: (name) => {
        say(`the ${name} cannot run like this (see above); stopping`)
        process.exitCode = EXIT_CONFIG
        closing.abort()
      },
    })
    onSignals(closing, () => roof.kill())
    try {
      await Promise.race([roof.start(), aborted(closing.signal)])
      if (!closing.signal.aborted) console.log(whereItIs(roof.address))
      await aborted(closing.signal)
    } finally {
      await roof.stop()
    }
    say('stopped')
  } catch (error) {
    if (!expected.some((kind) => error instanceof kind)) throw error
    process.stderr.write(`inferq: ${messageOf(error)}\n`)
    process.exitCode = error instanceof SettingsError ? EXIT_CONFIG : 1
  }
}

/** The first signal asks for a stop in good order; one that follows later, for a stop now. */
function onSignals(closing: AbortController, kill: () => void): void {
  let first = 0
  const onSignal = () => {
    if (closing.signal.aborted) {
      // npm passes on the Ctrl-C that the terminal has already sent: the two come together and are one.
      if (Date.now() - first > 500) kill()
      return
    }
    first = Date.now()
    say('stopping … (Ctrl-C again: at once)')
    closing.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  if (process.env['npm_lifecycle_event']) onParentLost(closing.signal, onSignal)
}

/** npm hands a SIGTERM to the shell between us, which ends without passing it on. */
function onParentLost(closing: AbortSignal, onSignal: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => process.ppid !== parent && onSignal(), 500)
  closing.addEventListener('abort', () => clearInterval(timer))
}

function say(line: string): void {
  console.log(`inferq: ${line}`)
}

function whereItIs(address: string): string {
  const user = process.env['ADMIN_USER'] ?? 'admin'
  const password = process.env['ADMIN_PASSWORD'] ? 'the one in ADMIN_PASSWORD' : 'shown when it was made'
  return `
inferq is ready.

  Page        ${address}/
  Predict     curl '${address}/predict?text=The%20boy%20is%20sitting%20on%20a%20bench'
  API docs    ${address}/docs
  Dashboard   ${address}/admin/queues (user ${user}, password: ${password})
  Data        ${resolve('.data')}

Ctrl-C stops it; data is kept in .data/.
`
}

function help(): string {
  const { workers, logLevel } = settings
  return `Settings are read from the environment, for example: PORT=8001 WORKERS=2 npm start

${describeTable('Under npm start', { workers, logLevel })}

Under npm start REDIS_URL may be unset: then a private Redis is started, its data in .data/redis.

${describeSettings()}`
}
