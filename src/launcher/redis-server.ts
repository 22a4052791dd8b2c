// A private Redis: a child process on a port of 127.0.0.1 with its data in a folder of its own. `npm start` and the
// tests use it.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './ports.ts'
import { queryRedis, acquireDataDir, RedisStartError, removeLock, writeLock } from './redis-data-lock.ts'
import { pause } from '../async.ts'

export interface RedisServerOptions {
  /** `redis-server` or `valkey-server` (see redis-binary.ts). */
  binary: string
  /** Where its data is kept; made when missing. */
  dir: string
  say: (line: string) => void
  /** Whether Ctrl-C in the terminal passes it by, so that whoever started it decides when it stops. */
  ownGroup?: boolean
}

export class RedisServer {
  readonly #options: RedisServerOptions
  readonly #dir: string
  #port = 0
  #child: ChildProcess | undefined
  #closing = new AbortController()

  constructor(options: RedisServerOptions) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true })
    this.#dir = realpathSync(options.dir)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /**
   * Resolves with its URL once it answers, its data loaded. Started again after a stop, it takes the same port.
   * @throws RedisNotStarted when the folder is in use, or with what Redis itself had to say.
   */
  async start(): Promise<string> {
    if (this.#child) return this.url
    const closing = new AbortController()
    this.#closing = closing
    await acquireDataDir(this.#dir, this.#options.say)
    this.#port ||= await freePort()
    if (closing.signal.aborted) throw new RedisStartError('Redis was stopped before it had started.')
    await this.#launch()
    return this.url
  }

  /** SIGTERM, on which Redis writes what is still to be written; SIGKILL only after ten seconds. */
  async stop(): Promise<void> {
    this.#closing.abort()
    const child = this.#child
    if (!child) return
    await ended(child)
    this.#child = undefined
    removeLock(this.#dir)
  }

  async #launch(): Promise<void> {
    const { binary, ownGroup = false } = this.#options
    const child = spawn(binary, this.#arguments(), { stdio: 'ignore', detached: ownGroup })
    let failure: Error | undefined
    child.once('error', (error) => (failure = error))
    this.#child = child
    if (child.pid !== undefined) writeLock(this.#dir, { owner: process.pid, redis: child.pid, port: this.#port })
    while ((await queryRedis(this.#port, (redis) => redis.ping())) !== 'PONG') {
      if (failure || hasEnded(child)) {
        throw new RedisStartError(`Redis did not start: ${failure?.message ?? lastLine(join(this.#dir, 'redis.log'))}`)
      }
      await delay(20)
    }
    child.once('exit', () => void this.#restart())
  }

  /** Redis ended by itself. Its clients wait, and come back when it does. */
  async #restart(): Promise<void> {
    for (let wait = 1_000; !this.#closing.signal.aborted; wait = Math.min(wait * 2, 30_000)) {
      this.#options.say(`Redis ended unexpectedly; starting it again in ${wait / 1_000} s`)
      if (!(await pause(wait, this.#closing.signal))) return
      try {
        return await this.#launch()
      } catch (error) {
        this.#options.say((error as Error).message)
      }
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
      'maxmemory-policy': 'noeviction',
    }
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exit
  clearTimeout(timer)
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function lastLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? ''
  } catch {
    return 'it said nothing'
  }
}
