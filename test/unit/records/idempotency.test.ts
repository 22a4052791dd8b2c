import fc from 'fast-check'
import { uuidv7 } from 'uuidv7'
import { expect, it } from 'vitest'
import { canonicalJson, requestHash, uuidFromKey } from '../../../src/records/idempotency.ts'
import { isUuid, uuidTime } from '../../../src/records/ids.ts'

it('makes a version 8 UUID from owner and key, always the same', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (owner, key) => {
      const uuid = uuidFromKey(owner, key)
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(uuidFromKey(owner, key)).toBe(uuid)
      expect(isUuid(uuid)).toBe(true)
    }),
  )
  expect(uuidFromKey('a', 'key')).not.toBe(uuidFromKey('b', 'key'))
})

it('hashes the same body the same, whatever the order of its keys', () => {
  expect(requestHash('/a', { x: 1, y: { b: 1, a: [1, 2] } })).toBe(requestHash('/a', { y: { a: [1, 2], b: 1 }, x: 1 }))
  expect(requestHash('/a', { x: 1 })).not.toBe(requestHash('/b', { x: 1 }))
  expect(requestHash('/a', { x: [1, 2] })).not.toBe(requestHash('/a', { x: [2, 1] }))
  expect(canonicalJson({ b: undefined, a: null })).toBe('{"a":null}')
})

it('reads the time of a version 7 UUID, and of no other', () => {
  expect(Math.abs((uuidTime(uuidv7()) ?? 0) - Date.now())).toBeLessThan(1_000)
  expect(uuidTime(uuidFromKey('a', 'b'))).toBeUndefined()
  expect(uuidTime('nonsense')).toBeUndefined()
})
