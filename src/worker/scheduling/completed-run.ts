// What one run took, as a whole and by the owners of its texts.
import type { RunColumns } from '../inference/ipc.ts'

/** The part of a run that the texts of one owner are. */
export interface Usage {
  texts: number
  tokens: number
  /** Milliseconds of the run, by the share of its tokens. */
  ms: number
}

export interface CompletedRun {
  texts: number
  /** Tokens of the texts after truncation. */
  tokens: number
  /** Tokens that the session computed to fill its tensors. */
  padding: number
  /** Milliseconds of the tokenizer and the session. */
  ms: number
  /** The part of it that the tokenizer took. */
  tokenizeMs: number
  usage: Map<string, Usage>
}

/** @param entries the texts of the run, in the order of the columns. @param ms the duration of the run. */
export function completedRun(
  entries: readonly { group: { owner: string } }[],
  columns: RunColumns,
  ms: number,
): CompletedRun {
  const usage = new Map<string, Usage>()
  let tokens = 0
  entries.forEach(({ group: { owner } }, position) => {
    const used = usage.get(owner) ?? { texts: 0, tokens: 0, ms: 0 }
    usage.set(owner, used)
    const count = columns.tokens[position] ?? 0
    used.texts += 1
    used.tokens += count
    tokens += count
  })
  // Texts that the tokenizer refused have no tokens.
  for (const used of usage.values()) used.ms = ms * (tokens > 0 ? used.tokens / tokens : used.texts / entries.length)
  const padding = Math.max(0, columns.paddedTokens - tokens)
  return { texts: entries.length, tokens, padding, ms, tokenizeMs: columns.tokenizeMs, usage }
}
