import express from 'express'
import { describe, expect, it } from 'vitest'
import { readApiConfig } from '../../src/api/config.ts'
import { parseDuration, SettingsError } from '../../src/env.ts'

const REDIS_URL = 'redis://127.0.0.1:6379'

function problemsOf(env: Record<string, string>): string[] {
  try {
    readApiConfig(env)
    return []
  } catch (error) {
    return (error as SettingsError).problems
  }
}

describe('settings', () => {
  it('have defaults that need nothing but a Redis', () => {
    expect(readApiConfig({ REDIS_URL })).toMatchObject({
      port: 8_000,
      host: '127.0.0.1',
      waitTimeout: 30_000,
      maxBody: 1_048_576,
    })
  })

  it('are read with their units; an empty one is an unset one', () => {
    const config = readApiConfig({ REDIS_URL, WAIT_TIMEOUT: '1.5m', MAX_BODY: '2gb', ADMIN_WRITE: 'yes', PORT: '' })
    expect(config).toMatchObject({ waitTimeout: 90_000, maxBody: 2 * 1_024 ** 3, adminWrite: true, port: 8_000 })
    expect(['500ms', '30s', '5m', '1h', '30d'].map(parseDuration)).toEqual([
      500, 30_000, 300_000, 3_600_000, 2_592_000_000,
    ])
  })

  it('report every problem at once, by name, with what is expected', () => {
    const problems = problemsOf({
      PORT: '70000',
      WAIT_TIMEOUT: '30',
      ADMIN_WRITE: 'perhaps',
      LOG_LEVEL: 'loud',
      REDIS_URL: 'http://x',
    })
    expect(problems).toHaveLength(5)
    expect(problems.join('\n')).toMatch(/PORT: must be a whole number from 0 to 65535, such as 8000 \(got "70000"\)/)
    expect(problems.join('\n')).toMatch(/WAIT_TIMEOUT: must be a duration from 1ms to 24d, such as/)
    expect(problemsOf({})).toEqual([expect.stringMatching(/^REDIS_URL: must be set/)])
  })

  it('refuse what no timer can hold, and what would never pass', () => {
    expect(problemsOf({ REDIS_URL, MAX_WAIT: '30d' })).toEqual([expect.stringMatching(/^MAX_WAIT: must be a duration/)])
    expect(problemsOf({ REDIS_URL, RESULT_TTL: '0s' })).toEqual([expect.stringMatching(/^RESULT_TTL: must be/)])
    expect(readApiConfig({ REDIS_URL, BATCH_TTL: '90d' }).batchTtl).toBe(90 * 24 * 3_600_000)
  })

  it.each([
    ['off', false],
    ['0', false],
    ['1', 1],
    ['loopback, 10.0.0.0/8', ['loopback', '10.0.0.0/8']],
    ['10.0.0.0/255.0.0.0', ['10.0.0.0/255.0.0.0']],
    ['fd00::/8,192.0.2.1,::1,::ffff:192.0.2.1', ['fd00::/8', '192.0.2.1', '::1', '::ffff:192.0.2.1']],
  ])('take TRUST_PROXY=%s as Express does', (given, proxies) => {
    const { trustProxy } = readApiConfig({ REDIS_URL, TRUST_PROXY: given })
    expect(trustProxy).toEqual(proxies)
    expect(() => express().set('trust proxy', trustProxy)).not.toThrow()
  })

  it.each(['true', 'on', '*', '0.0.0.0/0', '10.0.0.0/33', '10.0.0/8', '::1/129', 'proxy.example', 'loopback,', '-1'])(
    'refuse TRUST_PROXY=%s',
    (given) => {
      expect(problemsOf({ REDIS_URL, TRUST_PROXY: given })).toEqual([
        expect.stringMatching(/^TRUST_PROXY: must be off/),
      ])
    },
  )

  it('keep no secret of an API key, and never print one', () => {
    const config = readApiConfig({ REDIS_URL, API_KEYS: 'ann:s3cret-of-16-chars,bob:another-of-16-chars' })
    expect(config.apiKeys).toHaveLength(2)
    expect(JSON.stringify(config)).not.toContain('s3cret')
    expect(problemsOf({ REDIS_URL, API_KEYS: 'justasecret' }).join()).not.toContain('justasecret')
  })
})
