// Points in time as options.
import { expect, it } from 'vitest'
import { timeOf } from '../../../../src/cli/batch/time.ts'

it('takes a duration from now', () => {
  const before = Date.now()
  const time = timeOf('5h').getTime()
  expect(time).toBeGreaterThanOrEqual(before + 5 * 3_600_000)
  expect(time).toBeLessThanOrEqual(Date.now() + 5 * 3_600_000)
})

it.each([
  ['2130-01-31T06:00Z', Date.UTC(2130, 0, 31, 6)],
  ['2130-01-31T06:00:30+02:00', Date.UTC(2130, 0, 31, 4, 0, 30)],
  ['2130-01-31', Date.UTC(2130, 0, 31)],
  ['2130-01-31 06:00', new Date(2130, 0, 31, 6).getTime()],
  ['4102444800', 4_102_444_800_000],
])('takes %s', (text, expected) => expect(timeOf(text).getTime()).toBe(expected))

it.each(['', '5', 'soon', '5 o', '2130-13-01T00:00Z', '31.01.2130'])('rejects "%s"', (text) => {
  expect(() => timeOf(text)).toThrow('must be a duration')
})

it.each(['2020-01-31T06:00Z', '1600000000', '0s'])('rejects %s, which has passed', (text) => {
  expect(() => timeOf(text)).toThrow('has passed')
})
