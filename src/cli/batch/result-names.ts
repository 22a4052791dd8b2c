// Names of the columns and members that a result adds to its row.

/** Members of a JSON object. */
export const resultMembers = ['label', 'score', 'scores', 'error']

/** Columns of a table. @param topK labels per row. */
export function resultColumns(topK = 1): string[] {
  const ranks = Array.from({ length: topK }, (_, at) => (at === 0 ? '' : `_${at + 1}`))
  return [...ranks.flatMap((rank) => [`label${rank}`, `score${rank}`]), 'error']
}

/** Whether a result can have this name, with any prefix. */
export function isResultName(name: string): boolean {
  return /^(?:predicted_(?:\d+_)?)?(?:(?:label|score)(?:_\d+)?|scores|error)$/.test(name)
}

/**
 * A labeled data set, or the output of an earlier run, has such names itself; the output keeps all of them.
 * @returns the first of `''`, `predicted_`, `predicted_2_` … with which no result has a name of the input.
 */
export function freePrefix(names: string[], results: string[]): string {
  const taken = new Set(names)
  for (let at = 0; ; at += 1) {
    const prefix = at === 0 ? '' : at === 1 ? 'predicted_' : `predicted_${at}_`
    if (results.every((name) => !taken.has(prefix + name))) return prefix
  }
}
