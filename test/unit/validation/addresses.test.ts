import type { lookup } from 'node:dns'
import { expect, it } from 'vitest'
import {
  guardedLookup,
  isAllowedAddress,
  networks,
  RefusedAddressError,
  urlProblem,
} from '../../../src/validation/addresses.ts'

const allow = networks.parse('10.1.0.0/16, 192.168.1.7, fd00:1::/32')
const NONE = { allow: [], setting: 'HOOKS' }

it.each([
  'http://127.0.0.1/hook',
  'http://localhost:9000/hook',
  'http://a.localhost/',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.0.1/',
  'http://169.254.169.254/latest/meta-data',
  'http://100.64.0.1/',
  'http://0.0.0.0/',
  'http://0/',
  'http://2130706433/',
  'http://0x7f.1/',
  'http://017700000001/',
  'http://127.1/',
  'http://[::1]/',
  'http://[::]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[fe80::1]/',
  'http://[fd00::1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
])('refuses %s', (url) => {
  expect(urlProblem(url, NONE)).toMatch(/private or reserved address, which HOOKS of the api/)
})

it.each([
  'ftp://example.com/',
  'file:///etc/passwd',
  'example.com/hook',
  '',
  'https://',
  `https://a/${'b'.repeat(2_048)}`,
])('refuses %.30s', (url) => {
  expect(urlProblem(url, NONE)).toMatch(/must be a URL|is longer/)
})

it.each(['http://user:password@example.com/', 'https://user@example.com/'])('refuses %s', (url) => {
  expect(urlProblem(url, NONE)).toBe('must not contain a user name or a password')
})

it('takes public addresses and names', () => {
  const urls = ['https://example.com/a?b=c', 'http://93.184.216.34:8080/', 'https://[2606:2800:220:1::1]/']
  expect(urls.map((url) => urlProblem(url, NONE))).toEqual([undefined, undefined, undefined])
})

it('takes private addresses that the setting names, of both families', () => {
  const allowed = ['10.1.2.3', '::ffff:10.1.2.3', '192.168.1.7', 'fd00:1::5']
  const refused = ['10.2.0.1', '192.168.1.8', 'fd00:2::1', '127.0.0.1', 'no address']
  expect(allowed.filter((address) => isAllowedAddress(address, allow))).toEqual(allowed)
  expect(refused.filter((address) => isAllowedAddress(address, allow))).toEqual([])
})

it.each(['10.0.0.0/99', 'example.com', '10.0.0'])('a setting of networks refuses %s', (text) => {
  expect(networks.safeParse(text).error?.issues[0]?.message).toMatch(/^must be addresses or networks/)
})

/** Resolves any name to these addresses. */
const resolving = (...addresses: string[]) =>
  ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    )) as unknown as typeof lookup

it('refuses a name with any private address when it connects', async () => {
  const resolve = (all: boolean, ...addresses: string[]) =>
    new Promise((done) => {
      const look = guardedLookup(NONE, resolving(...addresses))
      look('rebinding.example', { all }, (error, address) => done(error ?? address))
    })
  expect(await resolve(false, '93.184.216.34')).toBe('93.184.216.34')
  expect(await resolve(true, '93.184.216.34')).toEqual([{ address: '93.184.216.34', family: 4 }])
  expect(await resolve(false, '93.184.216.34', '127.0.0.1')).toBeInstanceOf(RefusedAddressError)
  expect(await resolve(true, '10.1.2.3')).toBeInstanceOf(RefusedAddressError)
  expect(await resolve(true)).toBeInstanceOf(RefusedAddressError)
})
