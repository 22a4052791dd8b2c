// Parses the Prefer header (RFC 7240): wait, respond-async and handling=lenient.

export interface Preferences {
  /** Milliseconds to wait for a result; undefined without `wait`. `wait` without a number means the default. */
  wait?: number
  respondAsync: boolean
  /** A failed item is returned as an error at its place and does not fail the request. */
  lenient: boolean
}

/**
 * Unknown preferences are ignored, as RFC 7240 specifies.
 * @param defaultWait milliseconds for `wait` without a number.
 * @param maxWait upper limit of `wait`, milliseconds.
 */
export function parsePrefer(header: string | undefined, defaultWait: number, maxWait: number): Preferences {
  const preferences = (header ?? '').split(/[,;]/).map((preference) => preference.trim().toLowerCase())
  const wait = preferences.flatMap((preference) => {
    if (preference === 'wait') return [defaultWait]
    const seconds = /^wait\s*=\s*"?(\d+)"?$/.exec(preference)?.[1]
    return seconds === undefined ? [] : [Number(seconds) * 1_000]
  })[0]
  return {
    ...(wait === undefined ? {} : { wait: Math.min(wait, maxWait) }),
    respondAsync: preferences.includes('respond-async'),
    lenient: preferences.includes('handling=lenient'),
  }
}

/** The Preference-Applied header; empty when no preference is applied. */
export function preferenceApplied(prefer: Preferences): Record<string, string> {
  const applied = [
    prefer.respondAsync ? 'respond-async' : '',
    prefer.wait === undefined ? '' : `wait=${Math.round(prefer.wait / 1_000)}`,
    prefer.lenient ? 'handling=lenient' : '',
  ].filter(Boolean)
  return applied.length > 0 ? { 'Preference-Applied': applied.join(', ') } : {}
}
