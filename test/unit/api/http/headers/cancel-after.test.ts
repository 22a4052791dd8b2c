import { expect, it } from 'vitest'
import { parseCancelAfter } from '../../../../../src/api/http/headers/cancel-after.ts'

it.each<[string | undefined, number | undefined]>([
  [undefined, undefined],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['1h30m45s', 5_445_000],
  [' 7D ', 604_800_000],
  ['30', 30_000],
  ['1', 1_000],
])('Cancel-After %s is %s ms', (header, ms) => {
  expect(parseCancelAfter(header)).toBe(ms)
})

it.each(['', '0', '0s', '-5s', '1.5h', '30 s', '30m1h', '1h30', '8d', '999999999d', 's', 'soon', '1e3', '٣'])(
  'Cancel-After %s is refused with what is valid',
  (header) => {
    expect(() => parseCancelAfter(header)).toThrow(expect.objectContaining({ status: 400 }))
    expect(() => parseCancelAfter(header)).toThrow('1s to 7d')
  },
)
