// The api as a service: start, and graceful shutdown.

import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { pause, retry, settledWithin } from '../async.ts'
import { messageOf, StartupError } from '../errors.ts'
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { waitForConnection } from '../redis/connection.ts'
import { durabilityProblems } from '../redis/info.ts'
import { createApiMetrics } from '../telemetry/metrics.ts'
import { createApp } from './app.ts'
import { sweepUntilClosed } from './cleanup.ts'
import type { ApiConfig } from './config.ts'
import { type Context, createContext, startContext, stopContext } from './context.ts'
import { close, createHttpServer, listen } from './http/server.ts'

/** The part of SHUTDOWN_GRACE that is reserved for closing connections, milliseconds. */
const CLOSE_RESERVE_MS = 5_000
const RETRY_MS = 1_000
const POLL_MS = 250

export class ApiService implements Service {
  readonly #context: Context
  readonly #server: Server
  #stopping: Promise<void> | undefined
  /** The port that the server listens on; 0 before the start. */
  port = 0

  constructor(config: ApiConfig, logger: Logger) {
    this.#context = createContext(config, logger, createApiMetrics())
    const { uploadTimeouts: uploads, connections } = this.#context
    const { maxConnections } = config
    this.#server = createHttpServer(createApp(this.#context), { uploads, connections, maxConnections })
  }

  /** @throws StartupError when the port is in use, or REQUIRE_DURABLE is on and Redis may lose jobs. */
  async start(): Promise<void> {
    const { config, logger, shutdown } = this.#context
    if (shutdown.signal.aborted) return
    if (config.requireDurable) await this.#requireDurableRedis()
    if (shutdown.signal.aborted) return
    await startContext(this.#context)
    this.port = await listen(this.#server, config.port, config.host)
    logger.info({ host: config.host, port: this.port }, 'listening')
    void this.#prepareWhenRedisAnswers()
    void this.#announceWhenServed()
    void sweepUntilClosed(this.#context)
    void this.#context.deadlines.run(shutdown.signal)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /**
   * From the first moment, /readyz is 503, streams and long polls end, and every answer ends its connection. The port
   * stays open for STOP_DELAY, in which load balancers and clients with open connections notice.
   */
  async #stop(): Promise<void> {
    const { shutdown, config, drainTimeout } = this.#context
    shutdown.abort()
    const batchesStopped = this.#context.batchService.stop()
    const webhooksStopped = this.#context.webhooks.stop()
    const drainMs = Math.max(0, config.shutdownGrace - CLOSE_RESERVE_MS)
    const delayMs = Math.min(config.stopDelay, drainMs)
    const closed = this.port > 0 ? this.#closeAfter(delayMs) : Promise.resolve()
    const drained = await settledWithin(closed, drainMs)
    drainTimeout.abort()
    if (!drained && !(await settledWithin(closed, RETRY_MS))) this.#server.closeAllConnections()
    await batchesStopped
    await webhooksStopped
    await stopContext(this.#context)
  }

  async #closeAfter(ms: number): Promise<void> {
    await delay(ms)
    await close(this.#server)
  }

  /** Prints one readable line, between the lines of the log, when a model is served. */
  async #announceWhenServed(): Promise<void> {
    const { config, shutdown, fleet } = this.#context
    if (config.announceUrl === undefined) return
    while (!fleet.models().some(({ workers }) => workers.length > 0)) {
      if (!(await pause(POLL_MS, shutdown.signal))) return
    }
    process.stdout.write(`ready: ${config.publicUrl ?? config.announceUrl}\n`)
  }

  /** Waits until Redis answers. @throws StartupError when Redis may lose jobs. */
  async #requireDurableRedis(): Promise<void> {
    const { shutdown, logger, redis } = this.#context
    await waitForConnection(redis)
    const problems = await retry(() => durabilityProblems(redis), {
      ms: RETRY_MS,
      signal: shutdown.signal,
      onError: (error) => {
        logger.warn(
          { reason: messageOf(error) },
          'Redis does not answer yet; the start waits because REQUIRE_DURABLE is on',
        )
      },
    }).catch((error: unknown) => {
      if (shutdown.signal.aborted) return []
      throw error
    })
    if (problems.length > 0) throw new StartupError(`REQUIRE_DURABLE is on, and ${problems.join('; ')}`)
  }

  /** Creates the dashboard's login as soon as Redis answers. */
  async #prepareWhenRedisAnswers(): Promise<void> {
    const { admin, shutdown, logger } = this.#context
    await retry(() => admin.prepare(), {
      ms: RETRY_MS,
      signal: shutdown.signal,
      onError: (error) => logger.debug({ reason: messageOf(error) }, 'Redis does not answer yet'),
    }).catch(
      (error: unknown) =>
        shutdown.signal.aborted || logger.error({ err: error }, 'could not create the login of the dashboard'),
    )
  }
}
