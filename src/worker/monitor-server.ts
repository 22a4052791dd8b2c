// HTTP server for a worker's health checks and metrics.

import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import type { Logger } from '../logger.ts'

export interface MonitorOptions {
  /** 0: any free port. */
  port: number
  /** Undefined: all addresses of this machine. */
  host: string | undefined
  /** Returns why the worker cannot take jobs now; undefined when it can. */
  notReady: () => Promise<string | undefined>
  metrics: Registry
  logger: Logger
}

export class MonitorServer {
  readonly #options: MonitorOptions
  readonly #server: Server

  constructor(options: MonitorOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#answer(request.url ?? '/', response).catch((error: unknown) => {
        options.logger.error({ err: error }, 'a health check failed')
        response.writeHead(500).end()
      })
    })
  }

  /** Resolves with the port. An error such as a taken port is only logged, since jobs do not need this server. */
  async start(): Promise<number | undefined> {
    const { port, host, logger } = this.#options
    try {
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) })
      await once(this.#server, 'listening')
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const reason = code === 'EADDRINUSE' ? `port ${port} is taken; set MONITOR_PORT to another port or to 0` : message
      logger.error(`no health checks and metrics: ${reason}`)
      return undefined
    }
    const address = this.#server.address() as AddressInfo
    logger.info({ host: address.address, port: address.port }, 'serving health and metrics')
    return address.port
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #answer(url: string, response: ServerResponse): Promise<void> {
    switch (url.split('?')[0]) {
      case '/livez':
        return json(response, 200, { status: 'ok' })
      case '/readyz': {
        const reason = await this.#options.notReady()
        return reason === undefined
          ? json(response, 200, { status: 'ok' })
          : json(response, 503, { status: 'not ready', reason })
      }
      case '/metrics': {
        const { metrics } = this.#options
        response.writeHead(200, { 'content-type': metrics.contentType }).end(await metrics.metrics())
        return
      }
      default:
        return json(response, 404, { error: 'no such route; see /livez, /readyz and /metrics' })
    }
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}
