import { describe, expect, it } from 'vitest'
import { apiKeys } from '../../../../../src/api/http/keys/api-key.ts'
import { KeyRing } from '../../../../../src/api/http/keys/key-ring.ts'

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
    ['followed by a mistyped role', `ann:0${GOOD}:reader`, /none of read, submit, admin/],
    ['followed by two roles', `ann:0${GOOD}:read:admin`, /two weights, roles or ends/],
    ['followed by no day', `ann:0${GOOD}:until=2027-02-30`, /the end of key 2 must be a day/],
    ['followed by a time', `ann:0${GOOD}:until=2027-02-20T10`, /the end of key 2 must be a day/],
    ['missing before a role', 'ann:read', /shorter than 16/],
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
    const keys = apiKeys.parse(`ann:${GOOD},ann:0${GOOD}:x:2`)
    expect(keys.map(({ weight }) => weight)).toEqual([undefined, 2])
    expect(new KeyRing(keys).weightOf(keys[0]?.owner ?? '')).toBe(2)
    expect(apiKeys.safeParse(`ann:${GOOD}:3,ann:0${GOOD}:2`).error?.issues[0]?.message).toMatch(/another weight/)
    expect(apiKeys.safeParse(`ann:${GOOD},ann:${GOOD}`).error?.issues[0]?.message).toMatch(/an earlier one/)
  })

  it('weight, role and end follow in any order', () => {
    const expected = { weight: 2.5, role: 'read', until: Date.UTC(2027, 0, 31) }
    for (const options of ['2.5:read:until=2027-01-31', 'until=2027-01-31:read:2.5'])
      expect(apiKeys.parse(`ann:${GOOD}:${options}`)).toMatchObject([expected])
    expect(apiKeys.parse(`ann:${GOOD}`)).toMatchObject([{ weight: undefined, role: 'admin', until: undefined }])
  })

  it('a good secret is taken', () => {
    expect(apiKeys.parse(`ann:${GOOD}`)).toHaveLength(1)
  })
})
