import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findExcess, outermostString } from '../../../src/validation/json-limits.ts'

const limits = { depth: 3, entries: 4, fields: 3, values: 12, advice: 'send less' }
const find = (text: string, more: Partial<typeof limits> = {}) => findExcess(Buffer.from(text), { ...limits, ...more })

describe('findExcess', () => {
  it.each([
    ['a scalar', '1'],
    ['exactly as many entries, fields and levels', '{"a":[1,2,3,4],"b":{"c":{}},"d":1}'],
    ['brackets and commas in strings', '{"a":"[[[[[{{{{,,,,,,,,,,,,,,,,","[[[[":"\\"[[[[[["}'],
    ['long strings with escaped quotes', JSON.stringify({ a: `${'x"\\'.repeat(500)}[[[[[[` })],
    ['a string that does not end', '{"a":"[[[[[['],
    ['nothing', ''],
  ])('passes %s', (_what, text) => {
    expect(find(text)).toBeUndefined()
  })

  it.each([
    ['depth', '{"a":[[[1]]]}', [], 'is nested deeper than 3 levels'],
    ['entries', '{"a":{"b":[1,2,3,4,5]}}', ['a', 'b'], 'has more than 4 entries; send less'],
    ['entries in a list in a list', '{"a":[1,[1,2,3,4,5]]}', ['a', 1], 'has more than 4 entries; send less'],
    ['fields', '{"a":[{"b":1,"c":2,"d":3,"e":4}]}', ['a', 0], 'has more than 3 fields'],
    ['values', '{"a":[{},{},{},{}],"b":[{},{},{},{}]}', [], 'has more than 12 values in all; send less'],
  ])('finds the first excess of %s, with its path', (_what, text, path, message) => {
    expect(find(text)).toEqual({ path, message })
  })

  it('cuts names in paths', () => {
    expect(find(`{"${'n'.repeat(1_000)}":[1,2,3,4,5]}`)?.path).toEqual(['n'.repeat(64)])
  })

  it('agrees with the parsed value, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const found = find(text, { depth: 4, entries: 5, fields: 4, values: 30 })
        const shape = shapeOf(JSON.parse(text))
        const within = shape.depth <= 4 && shape.entries <= 5 && shape.fields <= 4 && shape.values <= 30
        expect(found === undefined, JSON.stringify({ found, shape })).toBe(within)
      }),
      { numRuns: 2_000 },
    )
  })
})

interface Shape {
  depth: number
  entries: number
  fields: number
  values: number
}

/** The numbers of a parsed value, counted as findExcess counts them: brackets, and commas between values. */
function shapeOf(value: unknown): Shape {
  const shape = { depth: 0, entries: 0, fields: 0, values: 1 }
  const visit = (inner: unknown, level: number) => {
    if (typeof inner !== 'object' || inner === null) return
    const inside: unknown[] = Object.values(inner)
    shape.depth = Math.max(shape.depth, level)
    if (Array.isArray(inner)) shape.entries = Math.max(shape.entries, inside.length)
    else shape.fields = Math.max(shape.fields, inside.length)
    shape.values += Math.max(1, inside.length)
    for (const each of inside) visit(each, level + 1)
  }
  visit(value, 1)
  return shape
}

describe('outermostString', () => {
  it.each([
    ['first', '{"custom_id":"a","body":[[]]}', 'a'],
    [
      'last, after others with that name inside',
      '{"body":{"custom_id":"x"},"other":"custom_id","custom_id":"a\\"b"}',
      'a"b',
    ],
    ['with spaces', ' { "custom_id" : "a" } ', 'a'],
  ])('finds a field that is %s', (_where, text, expected) => {
    expect(outermostString(Buffer.from(text), 'custom_id')).toBe(expected)
  })

  it.each([['{"body":{"custom_id":"x"}}'], ['{"a":"custom_id"}'], ['{"custom_id":7}'], ['{"custom_id":"\\x"}'], ['']])(
    'finds none in %s',
    (text) => {
      expect(outermostString(Buffer.from(text), 'custom_id')).toBeUndefined()
    },
  )
})
