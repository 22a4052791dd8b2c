// The life of a process: settings, start, one AbortSignal for shutdown, stop with a deadline.
import { setMaxListeners } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { aborted, settledWithin } from './async.ts'
import { oneOf, SettingsError, setting, timeout } from './env.ts'
import { StartupError } from './errors.ts'
import { createLogger, type Logger, type LogLevel, logLevels } from './logger.ts'

export interface Service {
  /** Resolves when the service does its work. */
  start(): Promise<void>
  /** Resolves when it has stopped; it may be called before start, and twice. */
  stop(): Promise<void>
}

/** The settings of every service's process. */
export const serviceSettings = {
  shutdownGrace: setting('SHUTDOWN_GRACE', '30s', timeout, 'maximum duration of a shutdown'),
  logLevel: setting('LOG_LEVEL', 'info', oneOf(logLevels), `one of ${logLevels.join(', ')}`),
}

interface ServiceConfig {
  /** Milliseconds that a stop may take. */
  shutdownGrace: number
  logLevel: LogLevel
}

/** Percent of the live heap. V8's default growth of up to 300 % delays major collections; memory is mostly garbage. */
const HEAP_GROWTH = 50
/** Exit code for settings that cannot be used: a restart does not help (sysexits.h, EX_CONFIG). */
export const EXIT_CONFIG = 78
/** Milliseconds in which a stopped process may write its last lines. */
const EXIT_MS = 500

/** A signal that aborts on the first SIGTERM or SIGINT; a second one kills the process. */
export function closingSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.kill(process.pid, 'SIGKILL')
    controller.abort(name)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return controller.signal
}

/**
 * The main function of a service's process: reads and checks the settings, creates the service, and runs it until
 * SIGTERM or SIGINT. A SettingsError ends the process with EXIT_CONFIG and a StartupError with 1, each with its message alone on
 * stderr. @throws anything else, which ends the process with its stack.
 */
export async function runService<Config extends ServiceConfig>(
  program: 'api' | 'worker',
  readConfig: (env: NodeJS.ProcessEnv) => Config,
  check: (config: Config) => Promise<void>,
  create: (config: Config, logger: Logger) => Service,
): Promise<void> {
  growSlowly()
  // Hundreds of calls and chunks listen to one signal; from the 11th on, Node would print a warning that is not JSON.
  setMaxListeners(0)
  try {
    if (process.argv.length > 2)
      throw new SettingsError(['arguments are not taken; settings are environment variables'])
    const config = readConfig(process.env)
    await check(config)
    const logger = createLogger(program, config.logLevel)
    await runUntilClosed(create(config, logger), config.shutdownGrace, logger)
  } catch (error) {
    if (!(error instanceof SettingsError) && !(error instanceof StartupError)) throw error
    process.stderr.write(`inferq ${program}: ${error.message}\n`)
    process.exitCode = error instanceof SettingsError ? EXIT_CONFIG : 1
    exitSoon(EXIT_MS)
  }
}

/**
 * Runs a service until a signal closes the process. A stop that outlasts `graceMs` ends with exit code 1.
 * @throws what the start throws, after the service is stopped.
 */
async function runUntilClosed(service: Service, graceMs: number, logger: Logger): Promise<void> {
  const closing = closingSignal()
  const started = service.start()
  // A signal during the start is obeyed before the start is finished.
  try {
    await Promise.race([started.then(() => aborted(closing)), aborted(closing)])
  } catch (error) {
    await settledWithin(service.stop(), graceMs).catch((err: unknown) => logger.warn({ err }, 'did not stop'))
    throw error
  }
  started.catch((error: unknown) => logger.warn({ err: error }, 'did not start'))
  logger.info({ signal: closing.reason }, 'closing')
  const stopped = await settledWithin(service.stop(), graceMs)
  if (!stopped) logger.error({ graceMs }, 'did not stop in time')
  logger.info('closed')
  process.exitCode = stopped ? 0 : 1
  exitSoon(stopped ? EXIT_MS : 0)
}

/** Native threads and half-open sockets may keep the event loop alive after the service has stopped. */
function exitSoon(ms: number): void {
  setTimeout(() => process.exit(), ms).unref()
}

/** A full disk may have room again; everything else lasts. */
const PASSING = ['ENOSPC', 'EDQUOT']

/**
 * Creates the directory, and tries to write to it.
 * @param setting that names it, with an example. @throws StartupError when the process may not write there.
 */
export function requireWritable(dir: string, setting: string, example: string): void {
  try {
    makeDirectory(dir)
    rmSync(mkdtempSync(join(dir, 'check-')), { recursive: true })
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (PASSING.includes(code)) return
    throw new StartupError(`${setting}: the directory ${dir} cannot be written to (${code}); set ${example}`)
  }
}

/** The option `recursive` of mkdir never ends below a directory that takes no entries, such as /proc. */
function makeDirectory(dir: string): void {
  if (existsSync(dir)) return
  makeDirectory(dirname(dir))
  try {
    mkdirSync(dir)
  } catch (error) {
    // Another process may have made it since.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/**
 * Starts the next collection when the heap has grown by half of what survived the last one, for processes with much
 * garbage and little state. It is called before anything else; V8 reads the flag when it sets the next limit.
 */
function growSlowly(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`)
}
