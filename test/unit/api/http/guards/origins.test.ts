import { describe, expect, it } from 'vitest'
import { corsOrigins, type OriginRequest, originGuard } from '../../../../../src/api/http/guards/origins.ts'

type Headers = Record<string, string>

function statusOf(
  headers: Headers,
  method = 'POST',
  allowed: string[] = [],
  costs = false,
  proxied: Partial<OriginRequest> = {},
) {
  const all: Headers = { host: 'localhost:8000', ...headers }
  const request = { method, protocol: 'http', host: all['host'], get: (name: string) => all[name], ...proxied }
  try {
    originGuard(allowed)(request as OriginRequest, costs)
    return 200
  } catch (error) {
    return (error as { status: number }).status
  }
}

const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

describe('originGuard', () => {
  it.each<[string, Headers]>([
    ['a client that is no browser', {}],
    ["Node's fetch", { 'sec-fetch-mode': 'cors' }],
    ['its own page', { origin: 'http://localhost:8000', 'sec-fetch-site': 'same-origin' }],
    ['the address bar', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }],
    ['its own page at a proxy with TLS', { origin: 'https://localhost:8000' }],
    ['its own page on the default port', { host: 'box:443', origin: 'https://box' }],
  ])('accepts %s', (_who, headers) => {
    expect(statusOf(headers)).toBe(200)
  })

  it.each<[string, Headers]>([
    ['a page of another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a page on another port', { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }],
    ['a sandboxed page or a local file', { origin: 'null' }],
    [
      'an image of another site',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    ],
    ['an old browser without Sec-Fetch-Site', { origin: 'http://evil.example' }],
    ['a form of another site', { ...link, origin: 'https://evil.example' }],
  ])('rejects %s', (_who, headers) => {
    expect(statusOf(headers)).toBe(403)
  })

  it('accepts a link from another site, unless the route costs computing time', () => {
    expect(statusOf(link, 'GET')).toBe(200)
    expect(statusOf(link, 'GET', [], true)).toBe(403)
    expect(statusOf({ ...link, 'sec-fetch-dest': 'iframe' }, 'GET')).toBe(403)
  })

  it('accepts origins of CORS_ORIGINS', () => {
    const headers = { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }
    expect(statusOf(headers, 'POST', corsOrigins.parse('https://APP.example'))).toBe(200)
    expect(statusOf(headers, 'POST', corsOrigins.parse('*'))).toBe(200)
    expect(statusOf(headers, 'POST', corsOrigins.parse('https://other.example'))).toBe(403)
  })

  it('with the scheme of a trusted proxy, a page over HTTP is foreign', () => {
    const proxied = { protocol: 'https', host: 'inferq.example' }
    expect(statusOf({ origin: 'https://inferq.example' }, 'POST', [], false, proxied)).toBe(200)
    expect(statusOf({ origin: 'http://inferq.example' }, 'POST', [], false, proxied)).toBe(403)
  })
})

it.each(['app.example', 'https://app.example/path', 'https://*.example', 'null'])(
  'CORS_ORIGINS=%s is refused',
  (given) => {
    expect(corsOrigins.safeParse(given).success).toBe(false)
  },
)
