import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  DownloadError,
  type DownloadOptions,
  download,
  NotResumableError,
} from '../../../../src/batches/files/download.ts'
import { networks } from '../../../../src/validation/addresses.ts'

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
const LOCAL = { allow: networks.parse('127.0.0.1'), setting: 'INPUT_URL_ALLOW' }

let server: Server | undefined
let ranges: (string | undefined)[] = []
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
  ranges = []
})

async function serve(listener: RequestListener): Promise<URL> {
  server = createServer((request, response) => {
    ranges.push(request.headers.range)
    listener(request, response)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a.jsonl?signature=secret`)
}
async function fetched(url: URL, more: Partial<DownloadOptions> = {}): Promise<Buffer> {
  const options = { policy: LOCAL, maxBytes: 1e6, signal: new AbortController().signal, retryMs: 1, ...more }
  const pieces: Buffer[] = []
  for await (const piece of download(url, options)) pieces.push(piece)
  return Buffer.concat(pieces)
}
/** Sends some bytes of the content, then breaks the connection. */
const breakAfter = (response: ServerResponse, from: number, bytes: number) => {
  response.write(CONTENT.subarray(from, from + bytes), () => setTimeout(() => response.destroy(), 20))
}

describe('a download', () => {
  it('yields the whole file', async () => {
    const url = await serve((_request, response) => void response.end(CONTENT))
    expect((await fetched(url)).equals(CONTENT)).toBe(true)
    expect(ranges).toEqual([undefined])
  })

  it.each([
    ['ETag', { ETag: '"one"' }],
    ['Last-Modified', { 'Last-Modified': 'Fri, 27 Nov 2026 10:00:00 GMT' }],
  ])('resumes where the connection broke, of the same version by %s', async (_what, version) => {
    const conditions: unknown[] = []
    const url = await serve((request, response) => {
      const from = Number(/(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      if (from > 0) conditions.push(request.headers['if-range'])
      const headers = { ...version, 'Content-Length': CONTENT.length - from }
      const range = { 'Content-Range': `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}` }
      response.writeHead(from > 0 ? 206 : 200, from > 0 ? { ...headers, ...range } : headers)
      if (from < 200_000) breakAfter(response, from, 100_000)
      else response.end(CONTENT.subarray(from))
    })
    expect((await fetched(url)).equals(CONTENT)).toBe(true)
    expect(ranges.length).toBeGreaterThan(1)
    expect(new Set(conditions)).toEqual(new Set(Object.values(version)))
  })

  it('skips what it has when the server sends the same version again', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { ETag: '"one"', 'Content-Length': CONTENT.length })
      if (ranges.length === 1) breakAfter(response, 0, 100_000)
      else response.end(CONTENT)
    })
    expect((await fetched(url)).equals(CONTENT)).toBe(true)
  })

  it.each([
    ['has another version', { ETag: '"two"' }],
    ['has no version', {}],
  ])('ends when the server %s by then', async (_what, headers) => {
    const url = await serve((_request, response) => {
      response.writeHead(200, {
        'Content-Length': CONTENT.length,
        ...(ranges.length === 1 ? { ETag: '"one"' } : headers),
      })
      if (ranges.length === 1) breakAfter(response, 0, 100_000)
      else response.end(CONTENT)
    })
    await expect(fetched(url)).rejects.toThrow(NotResumableError)
  })

  it('is repeated after errors that may be temporary, and ends after some', async () => {
    const url = await serve((_request, response) => {
      if (ranges.length < 4) response.writeHead([503, 429, 500][ranges.length - 1] ?? 500).end()
      else response.end(CONTENT)
    })
    expect((await fetched(url)).equals(CONTENT)).toBe(true)
    expect(ranges).toHaveLength(4)
    server?.close()
    const away = await serve((_request, response) => void response.writeHead(503).end())
    await expect(fetched(away)).rejects.toThrow('the server answered 503')
    const silent = await serve((request) => request.destroy())
    await expect(fetched(silent)).rejects.toThrow(DownloadError)
  })

  it.each([
    [403, {}, 'the server answered 403'],
    [404, {}, 'the server answered 404'],
    [204, {}, 'the server answered 204'],
    [302, { Location: 'http://127.0.0.1:1/' }, 'a redirect is not followed'],
    [200, { 'Content-Encoding': 'gzip' }, 'compressed'],
    [200, { 'Content-Length': 2e6 }, 'larger than 1000000 bytes (MAX_UPLOAD_BYTES)'],
  ])('ends after an answer with %d %j', async (status, headers, message) => {
    const url = await serve((_request, response) => void response.writeHead(status, headers).end())
    await expect(fetched(url)).rejects.toThrow(message)
    expect(ranges).toHaveLength(1)
  })

  it('ends at the limit also when the server does not announce the size', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200)
      const write = () => {
        while (!response.destroyed && response.write(CONTENT));
      }
      response.on('drain', write)
      write()
    })
    await expect(fetched(url)).rejects.toThrow('larger than 1000000 bytes')
  })

  it('ends when the server is too slow, silent, or the signal aborts', async () => {
    const pace = { windowMs: 100, bytes: 1_000 }
    const silent = await serve(() => undefined)
    await expect(fetched(silent, { pace })).rejects.toThrow('too slow')
    server?.closeAllConnections()
    const slow = await serve((request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
      const range = from > 0 ? { 'Content-Range': `bytes ${from}-999/1000` } : {}
      response.writeHead(from > 0 ? 206 : 200, { ETag: '"one"', ...range })
      const timer = setInterval(() => response.write('a'), 20)
      response.on('close', () => clearInterval(timer))
    })
    await expect(fetched(slow, { pace })).rejects.toThrow(/too slow|does not resume/)
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('stopped')), 50)
    await expect(fetched(slow, { signal: stop.signal })).rejects.toThrow('stopped')
  })

  it('goes to no private address, also behind a name', async () => {
    const url = await serve((_request, response) => void response.end(CONTENT))
    const policy = { ...LOCAL, allow: [] }
    const names = [url, new URL(url.href.replace('127.0.0.1', 'localhost'))]
    for (const each of names) {
      await expect(fetched(each, { policy })).rejects.toThrow(
        'private or reserved, and INPUT_URL_ALLOW does not name it',
      )
    }
    expect(ranges).toEqual([])
  })
})
