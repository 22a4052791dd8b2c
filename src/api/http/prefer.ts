// The Prefer header (RFC 7240), as far as it means something here.

export interface Preferences {
  /** Milliseconds to wait for an answer; undefined: not asked for. `wait` alone means the usual time. */
  wait?: number
  respondAsync: boolean
  /** A failed item takes its place in the answer instead of failing the request. */
  lenient: boolean
}

/** @param maxWait the most that is granted, milliseconds. What is not understood is ignored, as the RFC asks. */
export function parsePrefer(header: string | undefined, defaultWait: number, maxWait: number): Preferences {
  const words = (header ?? '').split(/[,;]/).map((word) => word.trim().toLowerCase())
  const wait = words.flatMap((word) => {
    if (word === 'wait') return [defaultWait]
    const seconds = /^wait\s*=\s*"?(\d+)"?$/.exec(word)?.[1]
    return seconds === undefined ? [] : [Number(seconds) * 1_000]
  })[0]
  return {
    ...(wait === undefined ? {} : { wait: Math.min(wait, maxWait) }),
    respondAsync: words.includes('respond-async'),
    lenient: words.includes('handling=lenient'),
  }
}

/** The header that tells what was granted; none when nothing was asked for. */
export function preferenceApplied(prefer: Preferences): Record<string, string> {
  const applied = [
    prefer.respondAsync ? 'respond-async' : prefer.wait === undefined ? '' : `wait=${Math.round(prefer.wait / 1_000)}`,
    prefer.lenient ? 'handling=lenient' : '',
  ].filter(Boolean)
  return applied.length > 0 ? { 'Preference-Applied': applied.join(', ') } : {}
}
