import { expect, it } from 'vitest'
import { parsePrefer, preferenceApplied } from '../../../../src/api/http/prefer.ts'

const parse = (header: string | undefined) => parsePrefer(header, 30_000, 60_000)

it('asks for nothing without the header, or with one that means nothing here', () => {
  expect(parse(undefined)).toEqual({ respondAsync: false, lenient: false })
  expect(parse('return=minimal, wait=soon')).toEqual({ respondAsync: false, lenient: false })
})

it('waits as long as asked, at most as long as is granted', () => {
  expect(parse('wait').wait).toBe(30_000)
  expect(parse('wait=5').wait).toBe(5_000)
  expect(parse('Wait = "7"').wait).toBe(7_000)
  expect(parse('wait=3600').wait).toBe(60_000)
})

it('reads several preferences, and tells which were applied', () => {
  const prefer = parse('respond-async, wait=5; handling=lenient')
  expect(prefer).toEqual({ wait: 5_000, respondAsync: true, lenient: true })
  expect(preferenceApplied(prefer)).toEqual({ 'Preference-Applied': 'respond-async, handling=lenient' })
  expect(preferenceApplied(parse('wait=5'))).toEqual({ 'Preference-Applied': 'wait=5' })
  expect(preferenceApplied(parse(undefined))).toEqual({})
})
