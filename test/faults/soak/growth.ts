// Whether a figure grows: its slope over a run, and the verdict.

export interface Series {
  what: string
  /** Of the values; memory is shown in MB. */
  unit: 'MB' | 'ms' | ''
  /** Growth that counts as flat, in the unit, whatever the level. */
  allowed: number
  /** One value a sample. */
  values: number[]
}

export interface Growth extends Omit<Series, 'values'> {
  first: number
  last: number
  highest: number
  /** Over the whole run, by the slope. */
  growth: number
  flat: boolean
}

/** Growth below this share of the level counts as flat too. */
const ALLOWED_SHARE = 0.1

/**
 * The median of the slopes between all pairs of values (Theil and Sen), in the unit of a value for each sample: single
 * peaks, such as those between two garbage collections, do not move it.
 */
export function slopeOf(values: number[]): number {
  const slopes = values.flatMap((value, at) => {
    return values.slice(at + 1).map((later, distance) => (later - value) / (distance + 1))
  })
  return median(slopes)
}

export function growthOf({ what, unit, allowed, values }: Series): Growth {
  const growth = slopeOf(values) * Math.max(0, values.length - 1)
  const level = Math.abs(median(values))
  const third = Math.max(1, Math.floor(values.length / 3))
  return {
    what,
    unit,
    allowed,
    first: median(values.slice(0, third)),
    last: median(values.slice(-third)),
    highest: Math.max(...values),
    growth,
    flat: growth <= Math.max(allowed, ALLOWED_SHARE * level),
  }
}

/** Rows of a Markdown table. */
export function growthTable(growths: Growth[]): string {
  const rows = growths.map(({ what, unit, first, last, highest, growth, flat }) => {
    const shown = [first, last, highest, growth].map((value) => `${value.toFixed(unit === '' ? 0 : 1)} ${unit}`.trim())
    return `| ${[what, ...shown, flat ? 'flat' : '**grows**'].join(' | ')} |`
  })
  return [
    '| figure | first third | last third | highest | growth by slope | verdict |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
