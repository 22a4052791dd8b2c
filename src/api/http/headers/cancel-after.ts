// Parses the Cancel-After header, as Replicate's API has it: the longest time that a request may take.
import { malformed } from '../../../errors.ts'

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 24 * 3_600_000] as const
const [MIN_MS, MAX_MS] = [SECOND, 7 * DAY]
const PLAIN = /^\d{1,9}$/
const WITH_UNITS = /^(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?$/

/**
 * Milliseconds from `30s`, `5m`, `1h`, combinations of them such as `1h30m`, or a plain number of seconds; undefined without a
 * header.
 * @throws AppError 400 for any other text, and for less than a second or more than seven days.
 */
export function parseCancelAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim().toLowerCase()
  const ms = PLAIN.test(text) ? Number(text) * SECOND : withUnits(text)
  if (ms !== undefined && ms >= MIN_MS && ms <= MAX_MS) return ms
  throw malformed('Cancel-After must be a time from 1s to 7d, such as 30s, 5m, 1h30m, or 30 for 30 seconds')
}

function withUnits(text: string): number | undefined {
  const [match, ...numbers] = WITH_UNITS.exec(text) ?? []
  if (match === undefined) return undefined
  const units = [DAY, HOUR, MINUTE, SECOND] as const
  return units.reduce((sum, unit, index) => sum + Number(numbers[index] ?? 0) * unit, 0)
}
