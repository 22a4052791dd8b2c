// Members of JSON objects as text, against JSON.parse on random objects.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { membersOf, withMembers } from '../../../../../src/cli/batch/input/raw-json.ts'

it('finds the members of any object', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, '\t'), (object, space) => {
      const text = JSON.stringify(object, null, space)
      const members = membersOf(text).map(([name, raw]) => [name, JSON.parse(raw) as unknown])
      expect(members).toEqual(Object.entries(JSON.parse(text) as object))
    }),
  )
})

it('adds members to any object', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1), (object, space) => {
      const text = withMembers(JSON.stringify(object, null, space), { added: [1], more: '}' })
      const parsed = JSON.parse(JSON.stringify(object)) as object
      expect(JSON.parse(text)).toEqual({ ...parsed, added: [1], more: '}' })
    }),
  )
})

it('keeps the text of values', () => {
  expect(membersOf('{"a":1.0 , "b\\"":1e400,"c" : [1, {"d":"]"}],"e":true}')).toEqual([
    ['a', '1.0'],
    ['b"', '1e400'],
    ['c', '[1, {"d":"]"}]'],
    ['e', 'true'],
  ])
})
