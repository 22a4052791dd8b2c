// A private Redis server as a child process, for `npm start` and the tests.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './ports.ts'
import { startOf } from './process-identity.ts'
import { acquireDataDir, queryRedis, type RedisDataLock, RedisStartError } from './redis-data-lock.ts'
import { hasExited, SupervisedProcess } from './supervised-process.ts'

export interface RedisServerOptions {
  /** `redis-server` or `valkey-server` (see redis-binary.ts). */
  binary: string
  /** The data directory; created when missing. */
  dir: string
  /** Redis' limit of memory, bytes; undefined: none. */
  maxMemory?: number
  print: (line: string) => void
  /** Whether it runs in a separate process group, which does not receive Ctrl-C from the terminal. */
  separateGroup?: boolean
}

/** Redis writes what is pending on SIGTERM; it is killed after this many milliseconds. */
const GRACE_MS = 10_000
const POLL_MS = 20

export class RedisServer {
  readonly #options: RedisServerOptions
  readonly #dir: string
  #port = 0
  #lock: RedisDataLock | undefined
  #process: SupervisedProcess | undefined
  #hasStarted = false
  #stopped = false

  constructor(options: RedisServerOptions) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true })
    this.#dir = realpathSync(options.dir)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`
  }

  get pid(): number | undefined {
    return this.#process?.child?.pid
  }

  /**
   * Resolves with its URL once it answers and its data is loaded. A start after a stop uses the same port.
   * @throws RedisStartError when the data directory is in use, or with the last line of Redis' log.
   */
  async start(): Promise<string> {
    if (this.#process) return this.url
    this.#stopped = false
    this.#lock = await acquireDataDir(this.#dir, this.#options.print)
    this.#port ||= await freePort()
    if (this.#stopped) {
      this.#release()
      throw new RedisStartError('Redis was stopped during its start')
    }
    // The failure of the first process is thrown, so the supervisor's message about it is not printed.
    const print = (line: string) => this.#hasStarted && this.#options.print(line)
    this.#process = new SupervisedProcess({ name: 'Redis', spawn: () => this.#spawn(), grace: GRACE_MS, print })
    await this.#process.start()
    await this.#waitUntilReady(this.#process)
    this.#hasStarted = true
    return this.url
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const process = this.#process
    await process?.stop()
    this.#process = undefined
    this.#hasStarted = false
    this.#release()
  }

  #release(): void {
    this.#lock?.release()
    this.#lock = undefined
  }

  #spawn(): ChildProcess {
    const { binary, separateGroup = false } = this.#options
    const child = spawn(binary, this.#arguments(), { stdio: 'ignore', detached: separateGroup })
    if (child.pid !== undefined) {
      this.#lock?.update({ startedAt: startOf(process.pid), redis: child.pid, port: this.#port })
    }
    return child
  }

  /** @throws RedisStartError when the first process ends before it answers. */
  async #waitUntilReady(process: SupervisedProcess): Promise<void> {
    const first = process.child as ChildProcess
    let failure: string | undefined
    first.once('error', (error) => (failure = error.message))
    while ((await queryRedis(this.#port, (redis) => redis.ping())) !== 'PONG') {
      if (hasExited(first)) failure ??= lastLine(join(this.#dir, 'redis.log'))
      if (failure !== undefined) {
        await this.stop()
        throw new RedisStartError(`Redis did not start: ${failure}`)
      }
      await delay(POLL_MS)
    }
  }

  #arguments(): string[] {
    const settings = {
      port: this.#port,
      bind: '127.0.0.1',
      dir: this.#dir,
      logfile: join(this.#dir, 'redis.log'),
      appendonly: 'yes',
      appendfsync: 'everysec',
      save: '',
      maxmemory: this.#options.maxMemory ?? 0,
      'maxmemory-policy': 'noeviction',
    }
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  }
}

function lastLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? ''
  } catch {
    return 'its log is empty'
  }
}
