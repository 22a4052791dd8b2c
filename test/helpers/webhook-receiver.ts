// A receiver of webhooks, which keeps what it gets and answers as a test wants.
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { waitFor } from './wait-for.ts'

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface WebhookReceiver {
  url: string
  received: Received[]
  /** Resolves with the requests to a path, once there are `count`. */
  at: (path: string, count?: number) => Promise<Received[]>
  stop: () => void
}

/** @param statusOf the answer to the nth request of a path, starting at 0; undefined: none. */
export async function startReceiver(
  statusOf: (path: string, n: number) => number | undefined,
): Promise<WebhookReceiver> {
  const received: Received[] = []
  const to = (path: string) => received.filter((each) => each.path === path)
  const server = createServer(async (request, response) => {
    const path = request.url ?? ''
    const body = Buffer.concat(await request.toArray()).toString()
    const status = statusOf(path, to(path).length)
    received.push({ path, headers: request.headers, body })
    if (status !== undefined) response.writeHead(status, { Location: '/moved' }).end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    at: async (path, count = 1) => {
      await waitFor(`${count} requests to ${path}`, () => to(path).length >= count)
      return to(path)
    },
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
