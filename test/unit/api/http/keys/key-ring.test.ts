import { expect, it } from 'vitest'
import { apiKeys } from '../../../../../src/api/http/keys/api-key.ts'
import { KeyRing } from '../../../../../src/api/http/keys/key-ring.ts'

const [FIRST, SECOND] = ['8f1b0c5d9e2a7f46', '0f1b0c5d9e2a7f46']
const ringOf = (keys: string) => new KeyRing(apiKeys.parse(keys))
const bearer = (secret: string) => `Bearer ${secret}`

it('without keys every caller is the same one, with every right', () => {
  expect(new KeyRing([]).authenticate(undefined)).toEqual({ owner: 'public', role: 'admin' })
})

it('two secrets of one name are both valid, for the same records, with their own roles', () => {
  const ring = ringOf(`ann:${FIRST},ann:${SECOND}:read`)
  const [first, second] = [FIRST, SECOND].map((secret) => ring.authenticate(bearer(secret)))
  expect(first?.owner).toBe(second?.owner)
  expect([first?.role, second?.role]).toEqual(['admin', 'read'])
  expect(ring.owners).toBe(1)
})

it('a key is valid until its day begins, and its owner is required to have another one then', () => {
  const today = new Date().toISOString().slice(0, 10)
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  const ring = ringOf(`ann:${FIRST}:until=${today},bob:${SECOND}:until=${tomorrow}`)
  expect(() => ring.authenticate(bearer(FIRST))).toThrow(/has expired/)
  expect(ring.authenticate(bearer(SECOND)).role).toBe('admin')
  expect(ring.count()).toEqual({ valid: 1, expired: 1 })
  expect(ring.isOpen).toBe(false)
})

it('keys are replaced as a whole, and never by none', () => {
  const ring = ringOf(`ann:${FIRST}`)
  ring.replace(apiKeys.parse(`ann:${SECOND}`))
  expect(() => ring.authenticate(bearer(FIRST))).toThrow(/is not known/)
  expect(ring.authenticate(bearer(SECOND))).toMatchObject({ role: 'admin' })
  expect(() => ring.replace([])).toThrow('keys are replaced by keys')
  expect(() => ring.authenticate(undefined)).toThrow(/API key required/)
  expect(() => new KeyRing([]).replace(apiKeys.parse(`ann:${SECOND}`))).toThrow('keys are replaced by keys')
})
