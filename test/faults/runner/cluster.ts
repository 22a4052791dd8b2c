// The processes of a scenario: a Redis, a proxy before it where wanted, apis and workers from dist/.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { redisBinary } from '../../../src/launcher/redis-binary.ts'
import { RedisServer } from '../../../src/launcher/redis-server.ts'
import { type Stack, startStack } from '../../helpers/stack.ts'
import type { StartedProcess } from '../../helpers/start-process.ts'
import { type TcpProxy, tcpProxy } from '../../helpers/tcp-proxy.ts'

export interface ClusterOptions {
  /** Default 1. */
  apis?: number
  /** Default 1. */
  workers?: number
  apiEnv?: Record<string, string>
  workerEnv?: Record<string, string>
  /** Redis' limit, bytes; default none. */
  maxMemory?: number
  /** Which processes reach Redis through a proxy of their own; default none. */
  proxied?: ('api' | 'worker')[]
  /** Whether Redis runs when the processes start; default true. */
  redisAtStart?: boolean
}

export interface RunningApi {
  url: string
  process: StartedProcess
}

/** Processes that start on a busy machine take long. */
const START_WITHIN_MS = 120_000
/** The time that a loaded machine adds to the measured speed of a model must not refuse work. */
const PATIENT = { MAX_QUEUE_SECONDS: '1h', MAX_WAITING: '2000' }

export class Cluster {
  readonly redis: RedisServer
  readonly stack: Stack
  readonly apiProxy: TcpProxy
  readonly workerProxy: TcpProxy
  /** The live ones. */
  readonly apis: RunningApi[]
  readonly #dir: string

  private constructor(redis: RedisServer, dir: string, stack: Stack, proxies: [TcpProxy, TcpProxy]) {
    this.redis = redis
    this.#dir = dir
    this.stack = stack
    this.apis = [{ url: stack.url, process: stack.api }]
    ;[this.apiProxy, this.workerProxy] = proxies
  }

  static async start(options: ClusterOptions, onEnd: (stop: () => unknown) => void): Promise<Cluster> {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-faults-'))
    onEnd(() => rmSync(dir, { recursive: true, force: true }))
    const print = () => undefined
    const { maxMemory } = options
    const redis = new RedisServer({
      binary: redisBinary(print),
      dir,
      print,
      ...(maxMemory === undefined ? {} : { maxMemory }),
    })
    await redis.start()
    onEnd(() => redis.stop())
    const proxies = [await tcpProxy(redis.url), await tcpProxy(redis.url)] as [TcpProxy, TcpProxy]
    for (const proxy of proxies) onEnd(() => proxy.stop())
    const through = (who: 'api' | 'worker', proxy: TcpProxy): Record<string, string> =>
      options.proxied?.includes(who) ? { REDIS_URL: proxy.url } : {}
    if (options.redisAtStart === false) await redis.stop()
    const stack = await startStack({
      redisUrl: redis.url,
      workers: options.redisAtStart === false ? 0 : (options.workers ?? 1),
      apiEnv: { ...PATIENT, LOG_LEVEL: 'info', ...through('api', proxies[0]), ...options.apiEnv },
      workerEnv: { MODELS: 'tiny-fp32', LOG_LEVEL: 'info', ...through('worker', proxies[1]), ...options.workerEnv },
      within: START_WITHIN_MS,
    })
    onEnd(() => stack.stop())
    const cluster = new Cluster(redis, dir, stack, proxies)
    while (cluster.apis.length < (options.apis ?? 1)) await cluster.addApi()
    return cluster
  }

  /** The first live api. */
  get url(): string {
    return this.apis[0]?.url ?? this.stack.url
  }

  get workers(): StartedProcess[] {
    return this.stack.workers
  }

  /** Redis' directory. */
  get dir(): string {
    return this.#dir
  }

  async addApi(port?: number): Promise<RunningApi> {
    const { api, url } = await this.stack.addApi(port)
    const running = { url, process: api }
    this.apis.push(running)
    return running
  }

  /** Kills the oldest worker, and starts another one. */
  async replaceWorker(): Promise<void> {
    this.workers.shift()?.child.kill('SIGKILL')
    await this.stack.addWorker()
  }

  /** Kills the oldest api, and starts another one on its port. */
  async replaceApi(): Promise<void> {
    const victim = this.apis.shift()
    victim?.process.child.kill('SIGKILL')
    await victim?.process.ended
    await this.addApi(victim && Number(new URL(victim.url).port))
  }

  /** Kills Redis, which is started again. */
  killRedis(): void {
    if (this.redis.pid !== undefined) process.kill(this.redis.pid, 'SIGKILL')
  }

  /** Processes of inferq that have ended with an exit code or a signal they were not sent. */
  get crashes(): number {
    const all = [...this.workers, ...this.apis.map((each) => each.process)]
    return all.filter(({ child }) => child.exitCode !== null || child.signalCode !== null).length
  }
}
