// The processes of `npm start` and `inferq serve`: Redis, the api and the workers.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { aborted, pause, settledWithin } from '../async.ts'
import { SettingsError } from '../env.ts'
import { messageOf, StartupError } from '../errors.ts'
import { requireWritable, type Service } from '../lifecycle.ts'
import type { RedisAddress } from '../redis/settings.ts'
import { checkRedis } from '../redis/usable.ts'
import type { Remedies } from './command.ts'
import { hubCache } from './given-models.ts'
import { freePort, isFree } from './ports.ts'
import { fieldsOf, prettyLine } from './pretty-log.ts'
import { spawnProgram } from './program.ts'
import { redisBinary } from './redis-binary.ts'
import { RedisServer } from './redis-server.ts'
import type { LauncherConfig } from './settings.ts'
import { SupervisedProcess } from './supervised-process.ts'

export interface StackOptions {
  settings: LauncherConfig
  /** The absolute path of DATA_DIR. */
  dataDir: string
  env: NodeJS.ProcessEnv
  print: (line: string) => void
  remedies: Remedies
  /** Called before the first process starts, when the port is free and the data directory can be written to. */
  prepare: (closing: AbortSignal) => Promise<void>
  /** Called when a child is not restarted any more. */
  onGivenUp: (name: string, reason: 'rejects its settings' | 'does not start') => void
}

/** A child that ends so often before it was ready once does not heal. */
const MAX_ENDS = 4
/** How long a Redis of REDIS_URL may be away. */
const REDIS_WAIT_MS = 30_000
const DEFAULT_MONITOR_PORT = 9100
const HEARTBEAT_WAIT_MS = 2_000
/** The interval of messages about processes that are not ready. */
const WAIT_REPORT_MS = 5_000

export class Stack implements Service {
  readonly #options: StackOptions
  readonly #closing = new AbortController()
  readonly #workers: SupervisedProcess[] = []
  readonly #health: { name: string; url: string }[] = []
  /** The api's port. */
  #port: number
  /** Resolves when the api prints that a model is served. */
  readonly #served: Promise<void>
  #onServed: () => void = () => undefined
  /** Whether all processes were ready once. */
  #isUp = false
  #redis: RedisServer | undefined
  #api: SupervisedProcess | undefined

  constructor(options: StackOptions) {
    this.#options = options
    this.#port = options.settings.port
    this.#served = new Promise((resolve) => {
      this.#onServed = resolve
    })
  }

  /** The api's URL for clients on this machine. */
  get address(): string {
    const { host } = this.#options.settings
    return `http://${this.#isLocal(host) ? 'localhost' : this.#reachable(host)}:${this.#port}`
  }

  /** The URL of the private Redis; undefined when REDIS_URL is set, or before the start. */
  get privateRedis(): string | undefined {
    return this.#redis?.url
  }

  /** Resolves when the api and every worker are ready, or when it is stopped during the start. */
  async start(): Promise<void> {
    const { settings, env, dataDir, print, remedies } = this.#options
    await this.#choosePort()
    requireWritable(dataDir, 'DATA_DIR', `another one: ${remedies.dataDir}`)
    const monitorPorts = await this.#monitorPorts()
    await this.#options.prepare(this.#closing.signal)
    if (this.#closing.signal.aborted) return
    if (settings.redisUrl) await this.#waitForRedis({ ...settings, redisUrl: settings.redisUrl })
    const redisUrl = settings.redisUrl ?? (await this.#startRedis(join(dataDir, 'redis')))
    if (this.#closing.signal.aborted) return

    const common = {
      NODE_ENV: 'production',
      ...env,
      REDIS_URL: redisUrl,
      LOG_LEVEL: settings.logLevel,
      FILES_URL: env['FILES_URL']?.trim() || pathToFileURL(join(dataDir, 'files')).href,
      MODELS_CACHE: hubCache(env, dataDir),
    }
    // No load balancer has to notice that the only api stops.
    const stopDelay = env['STOP_DELAY']?.trim() || '0s'
    const apiEnv = { ...common, HOST: settings.host, PORT: String(this.#port), STOP_DELAY: stopDelay }
    this.#api = this.#child('api', 'api', apiEnv)
    const api = `http://${this.#reachable(settings.host)}:${this.#port}`
    this.#health.push({ name: 'the api', url: `${api}/readyz` })
    const shared = settings.workers > 1 ? { INFERENCE_PROCESSES: processesPerWorker(settings.workers) } : {}
    for (const [index, port] of monitorPorts.entries()) {
      const name = settings.workers > 1 ? `worker ${index + 1}` : 'worker'
      this.#workers.push(
        this.#child(name, 'worker', {
          MONITOR_HOST: '127.0.0.1',
          ...shared,
          ...common,
          MONITOR_PORT: String(port),
        }),
      )
      this.#health.push({ name: `the ${name}`, url: `http://127.0.0.1:${port}/readyz` })
    }
    print(`starting the api and ${settings.workers === 1 ? 'a worker' : `${settings.workers} workers`} …`)
    await Promise.all([this.#api, ...this.#workers].map((child) => child.start()))
    await this.#allReady()
    this.#isUp = true
    if (settings.workers > 0) await this.#waitForWorkers()
  }

  /**
   * Stops the api before the workers, which must answer its open requests: in the reverse order 64 of 64 open requests
   * ended with 504 after 25 s.
   */
  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#api?.stop()
    await Promise.all(this.#workers.map((worker) => worker.stop()))
    await this.#redis?.stop()
  }

  /** Kills the api and the workers, which also ends a stop in progress. */
  kill(): void {
    for (const child of [...this.#workers, this.#api]) child?.kill()
  }

  #child(name: string, program: 'api' | 'worker', env: NodeJS.ProcessEnv): SupervisedProcess {
    const { settings, print, onGivenUp } = this.#options
    return new SupervisedProcess({
      name,
      spawn: () =>
        spawnProgram(program, env, (line) => {
          if (line.startsWith('ready: ')) this.#onServed()
          else process.stdout.write(`${loginMessage(line) ?? prettyLine(name, line)}\n`)
        }),
      // A child exits when its own grace ends; only a child that hangs takes longer.
      grace: settings.shutdownGrace + 2_000,
      print,
      maxEnds: () => (this.#isUp ? undefined : MAX_ENDS),
      onGivenUp: (reason) => onGivenUp(name, reason),
    })
  }

  /** @throws StartupError when the port is taken, or the host is none of this machine's addresses. */
  async #choosePort(): Promise<void> {
    const { host, port } = this.#options.settings
    if (port === 0) this.#port = await freePort()
    const free = await isFree(this.#port, host).catch((error: unknown) => {
      throw new StartupError(`HOST=${host} PORT=${port} cannot be listened on: ${messageOf(error)}`)
    })
    if (free) return
    throw new StartupError(
      `port ${port} is taken by another program; stop it, or use another port: ${this.#options.remedies.port(port < 65_535 ? port + 1 : 8000)}`,
    )
  }

  /** @throws StartupError when Redis is away for too long, and SettingsError when it cannot be used. */
  async #waitForRedis(address: RedisAddress): Promise<void> {
    const deadline = Date.now() + REDIS_WAIT_MS
    let isPrinted = false
    for (;;) {
      const check = await checkRedis(address)
      if (check.state === 'usable') return
      if (check.state === 'refused') throw new SettingsError([check.reason])
      if (Date.now() > deadline) {
        throw new StartupError(`${check.reason}; start it, or ${this.#options.remedies.privateRedis}`)
      }
      if (!isPrinted) this.#options.print(`${check.reason}; trying again for ${REDIS_WAIT_MS / 1_000} s …`)
      isPrinted = true
      if (!(await pause(500, this.#closing.signal))) return
    }
  }

  async #startRedis(dir: string): Promise<string> {
    const { env, print, settings } = this.#options
    const maxMemory = settings.redisMaxMemory
    this.#redis = new RedisServer({ binary: redisBinary(print, env), dir, maxMemory, print, separateGroup: true })
    return this.#redis.start()
  }

  /** Chooses a monitor port for each worker. A taken default port is replaced; a taken MONITOR_PORT is an error. */
  async #monitorPorts(): Promise<number[]> {
    const { settings } = this.#options
    const ports: number[] = []
    for (let worker = 0; worker < settings.workers; worker++) {
      const wanted = worker === 0 ? (settings.monitorPort ?? DEFAULT_MONITOR_PORT) : 0
      const usable = wanted !== 0 && (await isFree(wanted, '127.0.0.1'))
      if (!usable && worker === 0 && settings.monitorPort) {
        throw new StartupError(
          `port ${wanted} (MONITOR_PORT) is taken by another program; use another port, or 0 for any free port`,
        )
      }
      ports.push(usable ? wanted : await freePort())
    }
    return ports
  }

  async #allReady(): Promise<void> {
    const startedAt = Date.now()
    const missing = new Map(this.#health.map((check) => [check, 'is starting']))
    let reported = 0
    while (missing.size > 0 && (await pause(200, this.#closing.signal))) {
      for (const check of missing.keys()) {
        const reason = await notReady(check.url)
        if (reason === undefined) missing.delete(check)
        else missing.set(check, reason)
      }
      const intervals = Math.floor((Date.now() - startedAt) / WAIT_REPORT_MS)
      if (intervals > reported && missing.size > 0) {
        reported = intervals
        const reasons = [...missing].map(([{ name }, reason]) => `${name} (${reason})`)
        this.#options.print(`${(intervals * WAIT_REPORT_MS) / 1_000} s: still waiting for ${reasons.join(', ')} …`)
      }
    }
  }

  /**
   * Waits until the api has the first heartbeats, which it reads shortly after the workers are ready. The wait is
   * limited, since no model may be served.
   */
  async #waitForWorkers(): Promise<void> {
    await Promise.race([settledWithin(this.#served, HEARTBEAT_WAIT_MS), aborted(this.#closing.signal)])
  }

  #isLocal(host: string): boolean {
    return ['127.0.0.1', '0.0.0.0', '::', '::1', 'localhost'].includes(host)
  }

  #reachable(host: string): string {
    if (host === '0.0.0.0') return '127.0.0.1'
    if (host === '::') return '[::1]'
    return host.includes(':') ? `[${host}]` : host
  }
}

/** The dashboard's login, which the api logs once, when it generates the password; undefined for other lines. */
function loginMessage(line: string): string | undefined {
  const { user, password } = line.includes('"password"') ? fieldsOf(line) : {}
  if (typeof user !== 'string' || typeof password !== 'string') return undefined
  return `inferq: generated a login for the dashboard: user ${user}, password ${password} (shown only once)`
}

/** The inference processes of each worker when several workers share this machine's CPUs. */
function processesPerWorker(workers: number): string {
  return String(Math.max(1, Math.floor(availableParallelism() / workers)))
}

/** Why a process is not ready; undefined when it is. */
async function notReady(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    if (response.ok) return undefined
    const { reason, detail = 'is starting' } = (await response.json()) as { reason?: string; detail?: string }
    return reason ?? detail
  } catch {
    return 'is starting'
  }
}
