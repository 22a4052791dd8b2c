import { hostname } from 'node:os'
import { describe, expect, it } from 'vitest'
import { allowedHosts, hostGuard, isHost } from '../../../../../src/api/http/guards/hosts.ts'

const statusOf = (host: string | undefined, allowed: string[] = []) => {
  try {
    hostGuard(allowed)(host)
    return 200
  } catch (error) {
    return (error as { status: number }).status
  }
}

describe('hostGuard', () => {
  it.each([
    'localhost',
    'localhost:8000',
    'LOCALHOST:8000',
    'app.localhost:8000',
    '127.0.0.1:8000',
    '192.168.1.20',
    '[::1]:8000',
    '[fe80::1]',
    'api:8000',
    'inferq_api:8000',
    'host.docker.internal:8000',
    'inferq.default.svc',
    'inferq.default.svc.cluster.local:8000',
    hostname(),
    `${hostname()}:8000`,
    `${hostname()}.local`,
    undefined,
    '',
  ])('accepts %s without a setting', (host) => {
    expect(statusOf(host)).toBe(200)
  })

  it.each(['evil.example', 'evil.example:8000', '127.0.0.1.nip.io', 'localhost.evil.example', 'x.local', 'a.b.'])(
    'rejects %s',
    (host) => {
      expect(statusOf(host)).toBe(421)
    },
  )

  it.each([
    ['api.example.com', 'api.example.com:8443', 200],
    ['api.example.com', 'API.example.com.', 200],
    ['api.example.com', 'x.api.example.com', 421],
    ['.example.com', 'example.com', 200],
    ['.example.com', 'a.b.example.com', 200],
    ['.example.com', 'notexample.com', 421],
    ['*', 'evil.example', 200],
  ])('with ALLOWED_HOSTS=%s answers %s with %i', (allowed, host, status) => {
    expect(statusOf(host, allowedHosts.parse(allowed))).toBe(status)
  })

  it('names the setting in its message', () => {
    expect(() => hostGuard([])('evil.example:8000')).toThrow('ALLOWED_HOSTS=evil.example')
  })
})

it.each(['http://a.example', 'a.example:8000', 'a b', '-'])('ALLOWED_HOSTS=%s is refused', (given) => {
  expect(allowedHosts.safeParse(given).success).toBe(false)
})

it.each(['ev"il/..?#<x>', 'a b', 'a@b', 'a:b:c', '', 'a:123456', '[::1', 'ü.example'])('%s is no host', (given) => {
  expect(isHost(given)).toBe(false)
})
