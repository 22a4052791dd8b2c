import { expect, it } from 'vitest'
import { bytesText, countText, secondsText } from '../../../src/cli/format.ts'

it.each([
  [0.2, '0s'],
  [59.4, '59s'],
  [59.6, '1m 0s'],
  [200, '3m 20s'],
  [7_500, '2h 5m'],
  [undefined, '?'],
])('formats %s seconds as %s', (seconds, text) => expect(secondsText(seconds)).toBe(text))

it.each([
  [999, '999 B'],
  [1_500, '1.5 kB'],
  [23_100_000, '23.1 MB'],
  [22_140_400_000, '22.1 GB'],
])('formats %s bytes as %s', (bytes, text) => expect(bytesText(bytes)).toBe(text))

it('separates thousands by commas', () => expect(countText(1_234_567.4)).toBe('1,234,567'))
