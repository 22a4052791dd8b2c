// The files of the page at /, which browsers load without a key.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { emptyRedis } from '../helpers/redis.ts'

let api: StartedApi
beforeAll(async () => {
  api = await startApi(await emptyRedis(), {
    API_KEYS: 'ann:page-secret-0123456789',
    PUBLIC_URL: 'https://a.example/in',
  })
})
afterAll(() => api?.stop())

const FILES = ['/', '/web/app.js', '/web/styles/base.css', '/web/uplot/uPlot.esm.js', '/web/uplot/uPlot.min.css']

describe('the page', () => {
  it.each(FILES)('has %s, which is asked for again at no cost', async (path) => {
    const first = await fetch(`${api.url}${path}`)
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-cache'])
    await first.arrayBuffer()
    // Node's fetch would add no-cache, which asks for the whole file.
    const headers = { 'If-None-Match': first.headers.get('etag') ?? '', 'Cache-Control': 'max-age=0' }
    const again = await fetch(`${api.url}${path}`, { headers })
    expect(again.status).toBe(304)
    const behindProxy = await fetch(`${api.url}/in${path}`)
    expect(behindProxy.status).toBe(200)
    await behindProxy.arrayBuffer()
  })

  it('allows nothing inline and nothing of another server', async () => {
    const response = await fetch(api.url)
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
    expect(policy).not.toContain('unsafe')
    const html = await response.text()
    expect(html).not.toMatch(/ style=| on\w+=|(?:src|href)="(?:\w+:)?\/\//)
  })

  it.each(['/web', '/web/', '/web/styles', '/web/nothing.js', '/web/%2e%2e/package.json', '/web/..%2fpackage.json'])(
    'has no %s',
    async (path) => {
      const response = await fetch(`${api.url}${path}`)
      expect(response.status).toBe(404)
      await response.arrayBuffer()
    },
  )
})
