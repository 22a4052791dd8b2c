// What a question is, what it answers with, and how long it may take for it.

export interface Question {
  /** Its name on the command line. */
  name: string
  /** One line. */
  title: string
  ask: (bench: Bench) => Promise<Figure[]>
}

export interface Bench {
  effort: Effort
  /** Aborts when the bench is told to stop. */
  signal: AbortSignal
  /** Folders of data sets that are not in the repository. */
  data: { cola?: string; sst2?: string }
  /** Says what is going on, to whoever waits. */
  say: (line: string) => void
}

export interface Effort {
  /** Of load a figure and run, after the warm-up. */
  seconds: number
  warmUpSeconds: number
  /** The median of so many counts. */
  runs: number
}

export interface Figure {
  what: string
  measured: number
  unit: string
  /**
   * `share`: of a limit that was measured in the same run, at least so much; `most`: in the figure's own unit; `card`: what
   * the model's card says, to the digits that it gives.
   */
  budget?: { share: number; of: number } | { most: number } | { card: number }
}

export const FULL: Effort = { seconds: 10, warmUpSeconds: 3, runs: 3 }
export const QUICK: Effort = { seconds: 2, warmUpSeconds: 1, runs: 1 }

/** The middle one; of an even number, the lower of the two in the middle. */
export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]
  if (middle === undefined) throw new Error('nothing was measured')
  return middle
}

/** Calls `once` as often as the effort says, one after the other. */
export async function runs<T>({ effort }: Bench, once: () => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let run = 0; run < effort.runs; run += 1) results.push(await once())
  return results
}
