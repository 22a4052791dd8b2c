// What `inferq doctor` finds.

export type Level = 'ok' | 'warning' | 'problem'

export interface Finding {
  /** What was checked: a word such as `redis`. */
  check: string
  level: Level
  message: string
  /** What to do; only of warnings and problems. */
  remedy?: string
}

/** Runs a check; an error that it does not expect is a problem too. */
export async function findingsOf(check: string, run: () => Promise<Omit<Finding, 'check'>[]>): Promise<Finding[]> {
  try {
    return (await run()).map((finding) => ({ check, ...finding }))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [{ check, level: 'problem', message, remedy: 'INFERQ_DEBUG=1 inferq doctor prints more' }]
  }
}
