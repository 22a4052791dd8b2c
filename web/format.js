// Numbers, sizes and times as a reader sees them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** @param {number} value */
export function count(value) {
  return whole.format(value)
}

/**
 * A number and its noun: `1 row`, `2 rows`.
 * @param {number} value
 * @param {string} noun in the singular
 */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** @param {number} value such as 12.3K */
export function short(value) {
  return value < 10 ? String(Math.round(value * 10) / 10) : compact.format(value)
}

/** @param {number} share 0 to 1 */
export function percent(share) {
  return `${(share * 100).toFixed(1)} %`
}

/** @param {number} value bytes */
export function bytes(value) {
  if (value < 1_000) return `${value} B`
  const power = Math.min(3, Math.floor(Math.log10(value) / 3))
  const scaled = value / 1_000 ** power
  return `${scaled < 10 ? scaled.toFixed(1) : scaled.toFixed(0)} ${['B', 'kB', 'MB', 'GB'][power]}`
}

/** A limit of the server, whose units are powers of 1,024, such as 1 GB. @param {number} value bytes */
export function limit(value) {
  const power = Math.min(3, Math.floor(Math.log2(Math.max(1, value)) / 10))
  return `${Math.round((value / 1_024 ** power) * 10) / 10} ${['B', 'kB', 'MB', 'GB'][power]}`
}

/** @param {number} value milliseconds */
export function milliseconds(value) {
  if (value >= 10_000) return duration(value / 1_000)
  return value < 10 ? `${value.toFixed(1)} ms` : `${whole.format(value)} ms`
}

/** @param {number} value seconds */
export function duration(value) {
  if (value < 1) return value <= 0 ? '0 s' : `${value.toFixed(2)} s`
  if (value < 10) return `${value.toFixed(1)} s`
  if (value < 60) return `${Math.round(value)} s`
  const minutes = Math.round(value / 60)
  if (minutes < 60) return value < 600 ? `${Math.floor(value / 60)} min ${Math.round(value % 60)} s` : `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`
}

/**
 * How long ago it was.
 * @param {number} at Unix seconds
 * @param {number} [now] Unix seconds
 */
export function ago(at, now = Date.now() / 1_000) {
  const seconds = Math.max(0, now - at)
  return seconds < 5 ? 'just now' : `${duration(Math.round(seconds))} ago`
}
