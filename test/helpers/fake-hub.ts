// Fake Hub: paths, redirects and headers of the Hugging Face Hub, with responses that a test can replace. Large files
// are sent from another origin, as by the Hub.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { waitFor } from './wait-for.ts'

export interface HubRequest {
  method: string
  /** Without the origin. */
  path: string
  range: string | undefined
  authorization: string | undefined
  userAgent: string | undefined
  status: number
}

/** Returns true when it answers in place of the Hub. `body`: the complete file, for the request of a file. */
export type Intercept = (request: IncomingMessage, response: ServerResponse, body: Buffer | undefined) => boolean

export class FakeHub {
  /** Newest commit of each repository and its files, by `owner/name`. */
  readonly repositories = new Map<string, { commit: string; files: Record<string, Buffer> }>()
  readonly requests: HubRequest[] = []
  /** Required from clients when set. */
  token: string | undefined
  /** Set by start(), and kept by stop(). */
  url = ''
  intercept: Intercept = () => false
  readonly #started = new Set<string>()
  readonly #hub: Server
  readonly #storage: Server

  constructor() {
    this.#hub = createServer((request, response) => this.#answer(request, response))
    this.#storage = createServer((request, response) => this.#send(request, response))
  }

  async start(): Promise<this> {
    for (const server of [this.#hub, this.#storage]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    this.url = originOf(this.#hub)
    return this
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      if (!server.listening) continue
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }

  /** Resolves when a request for this path has arrived, answered or not. */
  async receives(path: string): Promise<void> {
    await waitFor(`a request for ${path}`, () => this.#started.has(path))
  }

  /** Requests for the bytes of one file. */
  reads(file: string): HubRequest[] {
    return this.requests.filter(
      ({ method, path }) => method === 'GET' && path.startsWith('/storage/') && path.endsWith(file),
    )
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request, response)
    if (this.intercept(request, response, undefined)) return
    if (this.token && request.headers.authorization !== `Bearer ${this.token}`) return end(response, 401)
    const path = decodeURIComponent(request.url ?? '')
    const [, id = '', revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? []
    const repository = this.repositories.get(id)
    if (repository && [repository.commit, 'main', 'refs/pr/1'].includes(revision ?? '')) {
      const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }))
      return end(response, 200, JSON.stringify({ sha: repository.commit, siblings }))
    }
    this.#resolve(path, request, response)
  }

  /** Small files are git's, sent after a redirect on the same origin; large ones are redirected to the storage. */
  #resolve(path: string, request: IncomingMessage, response: ServerResponse): void {
    const isMoved = path.startsWith('/api/resolve-cache')
    const [, id = '', commit = '', file = ''] =
      /^(?:\/api\/resolve-cache)?\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? []
    const repository = this.repositories.get(id)
    const body = repository?.files[file]
    if (!body || repository.commit !== commit) return end(response, 404)
    response.setHeader('X-Repo-Commit', commit)
    if (file.endsWith('.onnx') || file.endsWith('_data')) {
      response.setHeader('X-Linked-Size', body.length)
      response.setHeader('X-Linked-ETag', `"${createHash('sha256').update(body).digest('hex')}"`)
      response.setHeader('Location', `${originOf(this.#storage)}/storage/${id}/${file}`)
      return end(response, 302)
    }
    if (!isMoved) {
      response.setHeader('Location', `/api/resolve-cache${path}`)
      return end(response, 307)
    }
    response.setHeader('ETag', `"${createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex')}"`)
    response.setHeader('Content-Length', body.length)
    if (this.intercept(request, response, body)) return
    end(response, 200, body)
  }

  #send(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request, response)
    const [, id = '', file = ''] = /^\/storage\/([^/]+\/[^/]+)\/(.+)$/.exec(request.url ?? '') ?? []
    const body = this.repositories.get(id)?.files[file]
    if (!body) return end(response, 404)
    if (this.intercept(request, response, body)) return
    sendRange(request, response, body)
  }

  #record({ method = '', url = '', headers }: IncomingMessage, response: ServerResponse): void {
    this.#started.add(url)
    response.on('close', () => {
      const { range, authorization, 'user-agent': userAgent } = headers
      this.requests.push({ method, path: url, range, authorization, userAgent, status: response.statusCode })
    })
  }
}

/** Sends the requested range, or the complete file. */
export function sendRange(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  if (from >= body.length) return end(response, 416)
  if (from > 0) response.setHeader('Content-Range', `bytes ${from}-${body.length - 1}/${body.length}`)
  response.setHeader('Content-Length', body.length - from)
  end(response, from > 0 ? 206 : 200, body.subarray(from))
}

function end(response: ServerResponse, status: number, body?: string | Buffer): void {
  response.writeHead(status).end(body)
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
