import { Writable } from 'node:stream'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { AdminLogin } from '../../../../src/api/dashboard/login.ts'

/** A Redis that has one key. */
function oneKey(): Redis {
  let value: string | null = null
  const set = async (_key: string, given: string) => {
    if (value !== null) return null
    value = given
    return 'OK'
  }
  return { set, get: async () => value } as unknown as Redis
}

it.each(['error', 'fatal'])('tells the password that it made at LOG_LEVEL=%s too, once', async (level) => {
  let log = ''
  const sink = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      log += piece.toString()
      done()
    },
  })
  const login = new AdminLogin(oneKey(), 'admin', undefined, pino({ level }, sink))
  await login.prepare()
  await login.prepare()
  const lines = log.split('\n').filter((line) => line !== '')
  expect(lines).toHaveLength(1)
  const { password } = JSON.parse(lines[0] ?? '') as { password: string }
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  expect(await login.accepts(basic(`admin:${password}`))).toBe(true)
  expect(await login.accepts(basic('admin:another'))).toBe(false)
})
