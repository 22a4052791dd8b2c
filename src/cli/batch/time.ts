// Points in time as options.
import { InvalidArgumentError } from 'commander'
import { parseDuration } from '../../env.ts'

/** Parses a duration from now (`5h`), Unix seconds, or a time of ISO 8601, local without a zone. @throws InvalidArgumentError */
export function timeOf(text: string): Date {
  const duration = parseDuration(text)
  const time =
    duration !== undefined ? Date.now() + duration : /^\d{9,11}$/.test(text) ? Number(text) * 1_000 : isoTime(text)
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError('It must be a duration such as 5h, or a time such as 2030-01-31T06:00Z.')
  }
  if (time <= Date.now()) throw new InvalidArgumentError('It has passed.')
  return new Date(time)
}

/** NaN for a text that is not of ISO 8601: Date.parse takes nearly everything, `5` too. */
function isoTime(text: string): number {
  return /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/.test(text) ? Date.parse(text) : Number.NaN
}
