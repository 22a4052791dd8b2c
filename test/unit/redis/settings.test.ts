import { expect, it } from 'vitest'
import { readSettings } from '../../../src/env.ts'
import { redisSettings } from '../../../src/redis/settings.ts'

const read = (env: Record<string, string>) => readSettings(redisSettings, { REDIS_URL: 'redis://127.0.0.1', ...env })

it('takes a prefix of keys', () => {
  expect(read({}).keyPrefix).toBe('inferq')
  expect(read({ KEY_PREFIX: 'team_a.staging-2' }).keyPrefix).toBe('team_a.staging-2')
})

it.each(['a b', 'a:b', '{a}', 'a*', 'a?', '[a]', 'ä', 'a'.repeat(65)])('refuses the prefix %s', (KEY_PREFIX) => {
  expect(() => read({ KEY_PREFIX })).toThrow(/KEY_PREFIX: must be 1 to 64 letters/)
})
