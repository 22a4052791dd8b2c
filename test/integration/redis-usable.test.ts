// Which Redis can be used, found before the work begins.
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { checkRedis, requireUsableRedis } from '../../src/redis/usable.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let locked: Awaited<ReturnType<typeof ownRedis>>
let withPassword: string

beforeAll(async () => {
  locked = await ownRedis()
  const redis = new Redis(locked.url)
  await redis.config('SET', 'requirepass', 'right')
  redis.disconnect()
  withPassword = locked.url.replace('redis://', 'redis://:right@')
})

afterAll(() => locked.stop())

test('a Redis with the right password and an existing database is usable', async () => {
  expect(await checkRedis({ redisUrl: inject('redisUrl') })).toEqual({ state: 'usable' })
  expect(await checkRedis({ redisUrl: `${withPassword}/3` })).toEqual({ state: 'usable' })
})

test('a wrong or missing password, and a database that does not exist, are refused without secrets', async () => {
  const wrong = locked.url.replace('redis://', 'redis://:MARKER@')
  for (const url of [wrong, locked.url]) {
    const check = await checkRedis({ redisUrl: url })
    expect(check).toMatchObject({ state: 'refused', reason: expect.stringMatching(/rejects the login; check/) })
    expect(JSON.stringify(check)).not.toContain('MARKER')
  }
  await expect(requireUsableRedis({ redisUrl: `${withPassword}/99` })).rejects.toThrow(
    /REDIS_URL: .* has no database 99/,
  )
})

test('a Redis that is away is no error', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`
  expect(await checkRedis({ redisUrl: url })).toMatchObject({
    state: 'away',
    reason: expect.stringMatching(/ECONNREFUSED/),
  })
  await expect(requireUsableRedis({ redisUrl: url })).resolves.toBeUndefined()
  expect(await checkRedis({ redisUrl: 'redis://no-such-host.invalid' })).toMatchObject({ state: 'away' })
})

test('another server is refused', async () => {
  const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1')
  const port = await new Promise((resolve) => {
    server.once('listening', () => resolve((server.address() as { port: number }).port))
  })
  try {
    await expect(requireUsableRedis({ redisUrl: `redis://127.0.0.1:${port}` })).rejects.toThrow(/is not a Redis/)
  } finally {
    server.close()
  }
})

test('one server in place of a cluster is refused, and nodes that are away are waited for', async () => {
  const { host } = new URL(inject('redisUrl'))
  expect(await checkRedis({ redisUrl: `redis+cluster://${host}` })).toMatchObject({
    state: 'refused',
    reason: `REDIS_URL: Redis at ${host} is no node of a cluster; use redis://`,
  })
  const away = `127.0.0.1:${await freePort()}`
  expect(await checkRedis({ redisUrl: `redis+cluster://${away}` })).toMatchObject({ state: 'away' })
  const second = await checkRedis({ redisUrl: `redis+cluster://${away},${host}` })
  expect(second).toMatchObject({ state: 'refused', reason: expect.stringContaining(host) })
})

test('a connection never works in another database than its own', async () => {
  const errors: string[] = []
  const redis = producerConnection({ redisUrl: `${withPassword}/99` }, (error) => errors.push(error.message))
  try {
    await waitFor('two refused attempts', () => errors.filter((message) => /out of range/.test(message)).length >= 2)
    await expect(redis.set('key', 'value')).rejects.toThrow(/writeable|closed|database/i)
  } finally {
    closeConnection(redis)
  }
  const first = new Redis(withPassword)
  expect(await first.dbsize()).toBe(0)
  first.disconnect()
})
