import { expect, it } from 'vitest'
import { parsePrefer, preferenceApplied } from '../../../../../src/api/http/headers/prefer.ts'

const parse = (header: string | undefined) => parsePrefer(header, 30_000, 60_000)

it('ignores an absent header and unknown preferences', () => {
  expect(parse(undefined)).toEqual({ respondAsync: false, lenient: false })
  expect(parse('return=minimal, wait=soon')).toEqual({ respondAsync: false, lenient: false })
})

it('limits wait to the maximum', () => {
  expect(parse('wait').wait).toBe(30_000)
  expect(parse('wait=5').wait).toBe(5_000)
  expect(parse('Wait = "7"').wait).toBe(7_000)
  expect(parse('wait=3600').wait).toBe(60_000)
})

it('parses several preferences, and reports the applied ones', () => {
  const prefer = parse('respond-async, wait=5; handling=lenient')
  expect(prefer).toEqual({ wait: 5_000, respondAsync: true, lenient: true })
  expect(preferenceApplied(prefer)).toEqual({ 'Preference-Applied': 'respond-async, wait=5, handling=lenient' })
  expect(preferenceApplied(parse('wait=5'))).toEqual({ 'Preference-Applied': 'wait=5' })
  expect(preferenceApplied(parse(undefined))).toEqual({})
})
