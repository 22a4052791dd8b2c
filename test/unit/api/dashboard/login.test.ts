import { Writable } from 'node:stream'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { AdminLogin } from '../../../../src/api/dashboard/login.ts'

/** A Redis client with a single key, whose SET behaves as with NX. */
function singleKeyRedis(): Redis {
  let value: string | null = null
  const set = async (_key: string, newValue: string) => {
    if (value !== null) return null
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
  const login = new AdminLogin(singleKeyRedis(), 'admin', undefined, pino({ level }, sink))
  await login.prepare()
  await login.prepare()
  const lines = log.split('\n').filter((line) => line !== '')
  expect(lines).toHaveLength(1)
  const { password } = JSON.parse(lines[0] ?? '') as { password: string }
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  expect(await login.accepts(basic(`admin:${password}`))).toBe(true)
  expect(await login.accepts(basic('admin:another'))).toBe(false)
})
