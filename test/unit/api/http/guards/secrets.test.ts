import { describe, expect, it } from 'vitest'
import { apiKeys } from '../../../../../src/api/http/api-keys.ts'
import { adminPassword } from '../../../../../src/api/http/guards/secrets.ts'

const GOOD = '8f1b0c5d9e2a7f46'

describe('API_KEYS', () => {
  it.each([
    ['short', 'ann:fifteen-charact'.slice(0, 19), /shorter than 16/],
    ['one character', 'ann:\u00a7', /printable/],
    ['few characters', 'ann:xyzzy', /shorter than 16/],
    ['repeated', `ann:${'ab'.repeat(10)}`, /repeats few/],
    ['not ASCII', `ann:${GOOD}ü`, /printable ASCII/],
    ['with a space', `ann:${GOOD} ${GOOD}`, /printable ASCII/],
    ['without a name', GOOD, /name:secret/],
    ['that of another name', `ann:${GOOD}`, /also that of another name/],
    ['followed by a weight of 0', `ann:0${GOOD}:0`, /weight of key 2 must be from 0.1 to 999.9/],
    ['followed by a weight of 1000', `ann:0${GOOD}:1000`, /weight of key 2/],
    ['followed by a negative weight', `ann:0${GOOD}:-1`, /weight of key 2/],
  ])('a secret that is %s is refused, and not repeated', (_what, given, reason) => {
    const parsed = apiKeys.safeParse(`ok:${GOOD},${given}`)
    const message = parsed.error?.issues[0]?.message ?? ''
    expect(message).toMatch(reason)
    expect(message).not.toContain(given.slice(4))
    if (given.includes(':')) expect(message).toContain('key 2')
  })

  it('a name may have two secrets, and a secret colons', () => {
    expect(apiKeys.parse(`ann:${GOOD},ann:0${GOOD}:x:2`).map(({ weight }) => weight)).toEqual([1, 2])
  })

  it('a good secret is taken', () => {
    expect(apiKeys.parse(`ann:${GOOD}`)).toHaveLength(1)
  })
})

describe('ADMIN_PASSWORD', () => {
  it.each(['pw', 'secret', 'password', 'Password1', '12345678', 'aaaaaaaaaa', 'changeme', 'inferq123'])(
    '%s is refused',
    (given) => {
      expect(adminPassword.safeParse(given).error?.issues[0]?.message).toMatch(/hard to guess/)
    },
  )

  it.each(['correct horse', 'pässwörter', 'new', undefined])('%s is taken', (given) => {
    expect(adminPassword.parse(given)).toBe(given)
  })
})
