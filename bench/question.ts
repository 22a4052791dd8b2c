// Types of a benchmark question, its figures and its effort.

export interface Question {
  /** Its name on the command line. */
  name: string
  /** One line. */
  title: string
  ask: (bench: Bench) => Promise<Figure[]>
  /** It is measured only when it is named: it installs programs of other projects. */
  onlyByName?: boolean
}

export interface Bench {
  effort: Effort
  /** Aborts on SIGTERM or SIGINT. */
  signal: AbortSignal
  /** Folders of data sets that are not in the repository. */
  data: { cola?: string; sst2?: string }
  /** Prints progress. */
  say: (line: string) => void
}

export interface Effort {
  /** Duration of the load per figure and run, after the warm-up. */
  seconds: number
  warmUpSeconds: number
  /** Number of runs; figures are their median. */
  runs: number
}

export interface Figure {
  what: string
  measured: number
  unit: string
  /**
   * `share`: minimum share of the limit `of`, measured in the same run; `max`: in the figure's own unit; `card`: the figure
   * in the model card, within its digits.
   */
  budget?: { share: number; of: number } | { max: number } | { card: number }
}

export const FULL: Effort = { seconds: 10, warmUpSeconds: 3, runs: 3 }
export const QUICK: Effort = { seconds: 2, warmUpSeconds: 1, runs: 1 }

/** Of an even count, the lower of the two middle values. */
export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]
  if (middle === undefined) throw new Error('nothing was measured')
  return middle
}

/** Calls `once` `effort.runs` times, one after the other. */
export async function runs<T>({ effort }: Bench, once: () => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let run = 0; run < effort.runs; run += 1) results.push(await once())
  return results
}
