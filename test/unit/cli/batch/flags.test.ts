// What the options mean for the output.
import { expect, it } from 'vitest'
import { outputDelimiterOf, outputFormatOf, outputNameOf } from '../../../../src/cli/batch/flags.ts'

const url = 'http://localhost:8000'

it.each([
  ['a.csv', undefined, 'a.csv.results.jsonl', 'jsonl'],
  ['a.txt', 'b.CSV', 'b.CSV', 'csv'],
  ['a.txt', 'b.tsv', 'b.tsv', 'csv'],
  ['a.txt', '-', undefined, 'jsonl'],
  ['-', undefined, undefined, 'jsonl'],
  ['-', 'out', 'out', 'jsonl'],
])('the output of %s with --output %s is %s, %s', (input, output, name, format) => {
  const flags = { input, output, url }
  expect([outputNameOf(flags), outputFormatOf(flags)]).toEqual([name, format])
})

it.each([
  ['out.csv', 'table', ';', ';'],
  ['out.csv', 'table', '\t', ','],
  ['out.tsv', 'table', ';', '\t'],
  ['out.TSV', 'lines', ',', '\t'],
  ['out.csv', 'objects', ';', ','],
] as const)('the delimiter of %s from %s with %j is %j', (output, kind, delimiter, expected) => {
  expect(outputDelimiterOf({ input: 'a', output, url }, { kind, delimiter })).toBe(expected)
})
