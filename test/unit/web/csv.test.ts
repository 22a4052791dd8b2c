// CSV in pieces, compared with csv-parse, and the delimiters that fit.
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CsvReader, delimitersOf } from '../../../web/batches/input/csv.js'

function read(text: string, delimiter = ',', pieceChars = text.length || 1): string[][] {
  const reader = new CsvReader(delimiter)
  const records = []
  for (let at = 0; at < text.length; at += pieceChars) records.push(...reader.push(text.slice(at, at + pieceChars)))
  return [...records, ...reader.end()]
}

describe('CSV', () => {
  it.each([
    [
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'a,b\r\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      '"a ""b""",c\n\n"d\ne",\n',
      [
        ['a "b"', 'c'],
        ['d\ne', ''],
      ],
    ],
    ['"never closed\n1,2', [['never closed\n1,2']]],
    ['', []],
  ])('reads %j', (text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it('is the same in any pieces as csv-parse reads it', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r\n', 'ä', ' ') })
    const table = fc.array(fc.tuple(field, field), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(table, fc.integer({ min: 1, max: 9 }), (rows, pieceChars) => {
        const text = rows.map((row) => row.map((each) => `"${each.replaceAll('"', '""')}"`).join(',')).join('\n')
        expect(read(text, ',', pieceChars)).toEqual(parse(text))
        expect(read(text, ',', pieceChars)).toEqual(rows)
      }),
    )
  })

  it('names a record whose quote is not closed, with bounded memory', () => {
    const reader = new CsvReader(',')
    reader.push('a,b\n1,"')
    expect(() => {
      for (let pieces = 0; pieces < 100; pieces++) reader.push('x'.repeat(100_000))
    }).toThrow('Record 2 is longer than 4 MB')
  })
})

describe('delimiters', () => {
  it.each([
    ['a,b\n1,2\n3,4\n', [',']],
    ['a;b\n1,5;2\n3,5;4\n', [';']],
    ['a;b,c\n1;2,3\n4;5,6\n', [',', ';']],
    ['a\tb\n1\t2\n', ['\t']],
    ['a|b\n1|2\n', ['|']],
    ['only a text\nand another, with a comma\n', []],
  ])('of %j', (text, expected) => {
    const found = delimitersOf(text).filter(({ share }) => share === 1)
    expect(found.map(({ delimiter }) => delimiter)).toEqual(expected)
  })
})
