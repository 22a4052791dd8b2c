// Redis with TLS: own authorities, client certificates, and one line for each mistake.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readSettings, SettingsError } from '../../src/env.ts'
import { closeConnection, producerConnection, waitForConnection } from '../../src/redis/connection.ts'
import { type RedisAddress, redisSettings } from '../../src/redis/settings.ts'
import { checkRedis } from '../../src/redis/usable.ts'
import { ownRedis } from '../helpers/redis.ts'
import { Authority, type CertificateFiles } from '../helpers/tls/authority.ts'
import { startTlsRedis, type TlsRedis } from '../helpers/tls/redis.ts'

const dir = mkdtempSync(join(tmpdir(), 'inferq-tls-'))
let own: Authority
let other: Authority
let client: CertificateFiles
let foreign: CertificateFiles
/** Needs a client certificate. */
let strict: TlsRedis
/** Needs none. */
let simple: TlsRedis
/** Has a certificate for another host. */
let misnamed: TlsRedis

beforeAll(async () => {
  own = new Authority(dir, 'own')
  other = new Authority(dir, 'other')
  client = own.issue('client')
  foreign = other.issue('client')
  const common = { ca: own.ca, dir }
  strict = await startTlsRedis({ ...common, ...own.issue('strict'), authClients: true })
  simple = await startTlsRedis({ ...common, ...own.issue('simple'), authClients: false })
  misnamed = await startTlsRedis({ ...common, ...own.issue('misnamed', 'DNS:redis.example'), authClients: false })
})

afterAll(async () => {
  for (const redis of [strict, simple, misnamed]) await redis?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** The settings as a process reads them. */
function addressOf({ port }: TlsRedis, env: Record<string, string> = {}, scheme = 'rediss'): RedisAddress {
  return readSettings(redisSettings, { REDIS_URL: `${scheme}://127.0.0.1:${port}`, ...env })
}

async function reasonOf(address: RedisAddress): Promise<string> {
  const check = await checkRedis(address)
  return check.state === 'usable' ? 'usable' : `${check.state} ${check.reason}`
}

const pair = ({ cert, key }: CertificateFiles) => ({ REDIS_TLS_CERT: cert, REDIS_TLS_KEY: key })

test('works with the authority of the certificate, and with a client certificate', async () => {
  expect(await reasonOf(addressOf(simple, { REDIS_TLS_CA: own.ca }))).toBe('usable')
  const address = addressOf(strict, { REDIS_TLS_CA: own.ca, ...pair(client) })
  expect(await reasonOf(address)).toBe('usable')
  // A scheme in capitals is the same scheme: such a connection must not be without TLS.
  expect(await reasonOf(addressOf(simple, { REDIS_TLS_CA: own.ca }, 'REDISS'))).toBe('usable')
  const redis = producerConnection(address, () => undefined)
  try {
    await waitForConnection(redis)
    expect(await redis.ping()).toBe('PONG')
  } finally {
    closeConnection(redis)
  }
})

test('each mistake is one line with its remedy', async () => {
  const ca = { REDIS_TLS_CA: own.ca }
  expect(await reasonOf(addressOf(simple))).toMatch(
    /^refused REDIS_URL: Redis at .* unknown authority \(.*set REDIS_TLS_CA/,
  )
  expect(await reasonOf(addressOf(simple, { REDIS_TLS_CA: other.ca }))).toMatch(/^refused .*unknown authority/)
  expect(await reasonOf(addressOf(misnamed, ca))).toMatch(/^refused .*for other hosts/)
  expect(await reasonOf(addressOf(strict, ca))).toMatch(/^refused .*asks for a client certificate.*REDIS_TLS_CERT/)
  expect(await reasonOf(addressOf(strict, { ...ca, ...pair(foreign) }))).toMatch(/^refused .*not accept the client/)
  expect(await reasonOf(addressOf(strict, {}, 'redis'))).toMatch(/^away .*not answer.*rediss:\/\//)
  const plain = await ownRedis()
  const port = Number(new URL(plain.url).port)
  expect(await reasonOf(addressOf({ port, stop: plain.stop }, ca))).toMatch(/^away .*use redis:\/\//)
  await plain.stop()
})

test('settings that do not belong together are refused', async () => {
  const mixed = { REDIS_TLS_CERT: client.cert, REDIS_TLS_KEY: foreign.key }
  expect(await reasonOf(addressOf(strict, mixed))).toMatch(/^refused REDIS_TLS_KEY: it is not the key/)
  expect(await reasonOf(addressOf(strict, { REDIS_TLS_CERT: client.cert }))).toMatch(/needs both/)
  expect(await reasonOf(addressOf(strict, pair(client), 'redis'))).toMatch(/have no effect; use rediss/)
  const damaged = join(dir, 'damaged.pem')
  writeFileSync(damaged, readFileSync(own.ca, 'utf8').slice(0, 200))
  expect(() => addressOf(simple, { REDIS_TLS_CA: damaged })).toThrow(
    /REDIS_TLS_CA: must be a PEM file with a CERTIFICATE/,
  )
  expect(() => addressOf(simple, { REDIS_TLS_CA: join(dir, 'none.pem') })).toThrow(/REDIS_TLS_CA: .*ENOENT/)
  expect(() => addressOf(simple, { REDIS_TLS_CA: client.key })).toThrow(SettingsError)
})
