// The api as a service: start, and stop without dropping a caller.
import { messageOf, StartupError } from '../errors.ts'
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { createApiMetrics } from '../metrics.ts'
import { createApp } from './app.ts'
import type { ApiConfig } from './config.ts'
import { type Context, createContext, startContext, stopContext, untilConnected } from './context.ts'
import { close, createHttpServer, listen } from './http/server.ts'
import { sweepUntilClosed } from './cleanup.ts'
import type { Server } from 'node:http'
import { pause, settledWithin } from '../async.ts'
import { durabilityProblems } from '../redis/info.ts'

/** Kept back of SHUTDOWN_GRACE for closing connections, milliseconds. */
const LAST_STEPS_MS = 5_000
const RETRY_MS = 1_000

export class ApiService implements Service {
  readonly #context: Context
  readonly #server: Server
  #stopping: Promise<void> | undefined
  /** The port that it listens on; 0 before the start. */
  port = 0

  constructor(config: ApiConfig, logger: Logger) {
    this.#context = createContext(config, logger, createApiMetrics())
    this.#server = createHttpServer(createApp(this.#context), this.#context.uploads)
  }

  /** @throws StartupError when the port is taken, or Redis may lose jobs although REQUIRE_DURABLE is on. */
  async start(): Promise<void> {
    const { config, logger, shutdown } = this.#context
    if (shutdown.signal.aborted) return
    if (config.requireDurable) await this.#refuseLossyRedis()
    if (shutdown.signal.aborted) return
    await startContext(this.#context)
    this.port = await listen(this.#server, config.port, config.host)
    logger.info({ host: config.host, port: this.port }, 'listening')
    void this.#prepareWhenRedisAnswers()
    void sweepUntilClosed(this.#context)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { shutdown, config, drainTimeout } = this.#context
    shutdown.abort()
    const handedBack = this.#context.batchService.stop()
    const closed = this.port > 0 ? close(this.#server) : Promise.resolve()
    const inTime = await settledWithin(closed, Math.max(0, config.shutdownGrace - LAST_STEPS_MS))
    drainTimeout.abort()
    if (!inTime && !(await settledWithin(closed, RETRY_MS))) this.#server.closeAllConnections()
    await handedBack
    await stopContext(this.#context)
  }

  /** Waits for a Redis that is away: before it answers nobody knows what it loses. */
  async #refuseLossyRedis(): Promise<void> {
    const { shutdown, logger, redis } = this.#context
    await untilConnected(redis)
    for (let waiting = true; waiting; waiting = await pause(RETRY_MS, shutdown.signal)) {
      const problems = await durabilityProblems(redis).catch((error: unknown) => {
        logger.warn({ reason: messageOf(error) }, 'REQUIRE_DURABLE is on, and Redis does not answer yet')
      })
      if (problems?.length) throw new StartupError(`REQUIRE_DURABLE is on, and ${problems.join('; ')}`)
      if (problems) return
    }
  }

  /** What needs Redis once, tried until it answers: the dashboard's login, and a warning about a Redis that loses jobs. */
  async #prepareWhenRedisAnswers(): Promise<void> {
    const { admin, shutdown, logger, redis } = this.#context
    for (let waiting = true; waiting; waiting = await pause(RETRY_MS, shutdown.signal)) {
      try {
        await admin.prepare()
        const problems = await durabilityProblems(redis)
        if (problems.length > 0) logger.warn({ problems }, 'this Redis may lose jobs')
        return
      } catch (error) {
        logger.debug({ reason: messageOf(error) }, 'Redis does not answer yet')
      }
    }
  }
}
