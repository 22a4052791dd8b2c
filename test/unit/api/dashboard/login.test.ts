import { Writable } from 'node:stream'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { AdminLogin } from '../../../../src/api/dashboard/login.ts'

const attempt = { address: '192.0.2.1', disconnected: new AbortController().signal }
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

/** A Redis client with a single key. */
function singleKeyRedis(): Redis {
  let value: string | null = null
  const set = async (_key: string, newValue: string, condition?: 'NX') => {
    if (condition === 'NX' && value !== null) return null
    value = newValue
    return 'OK'
  }
  return { set, get: async () => value } as unknown as Redis
}

it.each(['error', 'fatal'])('logs the generated password once, also at LOG_LEVEL=%s', async (level) => {
  let log = ''
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      log += chunk.toString()
      done()
    },
  })
  const login = new AdminLogin({
    redis: singleKeyRedis(),
    user: 'admin',
    password: undefined,
    logger: pino({ level }, sink),
  })
  await login.prepare()
  await login.prepare()
  const lines = log.split('\n').filter((line) => line !== '')
  expect(lines).toHaveLength(1)
  const { password } = JSON.parse(lines[0] ?? '') as { password: string }
  expect(await login.accepts(basic(`admin:${password}`), attempt)).toBe(true)
  expect(await login.accepts(basic('admin:another'), attempt)).toBe(false)
})

/** A login whose generated passwords are collected. */
function loginWith(redis: Redis, password: string | undefined) {
  const passwords: string[] = []
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      const line = JSON.parse(chunk.toString()) as { password?: string }
      if (line.password !== undefined) passwords.push(line.password)
      done()
    },
  })
  return { login: new AdminLogin({ redis, user: 'admin', password, logger: pino(sink) }), passwords }
}

it('ADMIN_PASSWORD=new replaces a generated password, also for an api that has accepted the old one', async () => {
  const redis = singleKeyRedis()
  const before = loginWith(redis, undefined)
  await before.login.prepare()
  const [old = ''] = before.passwords
  expect(await before.login.accepts(basic(`admin:${old}`), attempt)).toBe(true)
  const after = loginWith(redis, 'new')
  await after.login.prepare()
  const [replacement = ''] = after.passwords
  expect(await after.login.accepts(basic('admin:new'), attempt)).toBe(false)
  for (const { login } of [before, after]) {
    expect(await login.accepts(basic(`admin:${old}`), attempt)).toBe(false)
    expect(await login.accepts(basic(`admin:${replacement}`), attempt)).toBe(true)
  }
})

it('checks no password for a header without one', async () => {
  const outcomes: string[] = []
  const login = new AdminLogin({
    redis: singleKeyRedis(),
    user: 'admin',
    password: 'a good password',
    logger: pino({ level: 'silent' }),
    onOutcome: (outcome) => outcomes.push(outcome),
  })
  for (const header of [undefined, 'Bearer x', 'Basic', `Basic ${Buffer.from('admin').toString('base64')}`]) {
    expect(await login.accepts(header, attempt)).toBe(false)
  }
  expect(outcomes).toEqual([])
})
