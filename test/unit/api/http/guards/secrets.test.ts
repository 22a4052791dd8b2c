import { describe, expect, it } from 'vitest'
import { adminPassword } from '../../../../../src/api/http/guards/secrets.ts'

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
