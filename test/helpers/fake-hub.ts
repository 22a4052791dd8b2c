// A server with the Hub's paths, redirects and headers, which misbehaves when it is told to. Large files are sent from
// another origin, as the Hub does.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { waitFor } from './wait-for.ts'

export interface Asked {
  method: string
  /** Without the origin. */
  path: string
  range: string | undefined
  authorization: string | undefined
  status: number
}

/** Answers in the Hub's place: true when it did. `body` is the whole file where one is sent. */
export type Mischief = (request: IncomingMessage, response: ServerResponse, body: Buffer | undefined) => boolean

export class FakeHub {
  /** Files of a repository's newest commit, by `owner/name`. */
  readonly repositories = new Map<string, { commit: string; files: Record<string, Buffer> }>()
  readonly asked: Asked[] = []
  /** Only with this token. */
  token: string | undefined
  /** Known from the start on, and still when it is stopped. */
  url = ''
  mischief: Mischief = () => false
  readonly #begun = new Set<string>()
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

  /** Resolves when somebody asks for this path, answered or not. */
  async askedFor(path: string): Promise<void> {
    await waitFor(`somebody to ask for ${path}`, () => this.#begun.has(path))
  }

  /** What was asked for of one file's bytes. */
  reads(file: string): Asked[] {
    return this.asked.filter(
      ({ method, path }) => method === 'GET' && path.startsWith('/storage/') && path.endsWith(file),
    )
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#note(request, response)
    if (this.mischief(request, response, undefined)) return
    if (this.token && request.headers.authorization !== `Bearer ${this.token}`) return end(response, 401)
    const path = decodeURIComponent(request.url ?? '')
    const [, asked = '', revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? []
    const repository = this.repositories.get(asked)
    if (repository && [repository.commit, 'main', 'refs/pr/1'].includes(revision ?? '')) {
      const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }))
      return end(response, 200, JSON.stringify({ sha: repository.commit, siblings }))
    }
    this.#resolve(path, request, response)
  }

  /** Small files are git's and sent at once, behind a redirect on the same origin; large ones lie in the storage. */
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
    if (this.mischief(request, response, body)) return
    end(response, 200, body)
  }

  #send(request: IncomingMessage, response: ServerResponse): void {
    this.#note(request, response)
    const [, id = '', file = ''] = /^\/storage\/([^/]+\/[^/]+)\/(.+)$/.exec(request.url ?? '') ?? []
    const body = this.repositories.get(id)?.files[file]
    if (!body) return end(response, 404)
    if (this.mischief(request, response, body)) return
    sendRange(request, response, body)
  }

  #note({ method = '', url = '', headers }: IncomingMessage, response: ServerResponse): void {
    this.#begun.add(url)
    response.on('close', () => {
      const { range, authorization } = headers
      this.asked.push({ method, path: url, range, authorization, status: response.statusCode })
    })
  }
}

/** The bytes that were asked for, or all of them. */
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
