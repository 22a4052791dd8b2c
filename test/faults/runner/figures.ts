// Figures as a scenario's table shows them.

/** The value below which the share of the values lies; NaN without values. */
export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** `p50 1.2 s, p95 2.0 s, max 2.1 s`. @param values milliseconds. */
export function spread(values: number[]): string {
  const parts: [string, number][] = [
    ['p50', percentile(values, 0.5)],
    ['p95', percentile(values, 0.95)],
    ['max', Math.max(...values)],
  ]
  return parts.map(([name, ms]) => `${name} ${seconds(ms)}`).join(', ')
}

/** @param ms milliseconds. */
export const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`

export const megabytes = (bytes: number) => `${Math.round(bytes / 1_048_576)} MB`
