// The work of texts, in milliseconds of one inference process at the speeds that workers measured at their start. The time
// that it takes now is the work times the slowdown of the model, which changes while the work waits.
import type { Item } from '../queue/job.ts'
import { estimateTokens } from '../queue/token-estimate.ts'
import type { Heartbeat } from './heartbeat.ts'

/** Work of a text of that many tokens. */
export interface TextCost {
  tokens: number
  ms: number
}

/** Assumed for a model that no live worker has measured. */
export const UNKNOWN_COST: readonly TextCost[] = [{ tokens: 1, ms: 10 }]

/** The costs of a model's texts by ascending length, the average over the processes of all workers. */
export function textCosts(model: string, workers: Heartbeat[]): readonly TextCost[] {
  const sums = new Map<number, { ms: number; processes: number }>()
  for (const { processes = 1, models } of workers) {
    for (const { name, capacity, speeds = [] } of models) {
      if (name !== model) continue
      const rates = speeds.length > 0 ? speeds : [{ tokens: 1, textsPerSecond: capacity }]
      for (const { tokens, textsPerSecond } of rates) {
        if (textsPerSecond <= 0) continue
        const sum = sums.get(tokens) ?? { ms: 0, processes: 0 }
        sum.ms += ((processes * 1_000) / textsPerSecond) * processes
        sum.processes += processes
        sums.set(tokens, sum)
      }
    }
  }
  if (sums.size === 0) return UNKNOWN_COST
  return [...sums]
    .map(([tokens, { ms, processes }]) => ({ tokens, ms: ms / processes }))
    .sort((a, b) => a.tokens - b.tokens)
}

/** Whether a live worker has measured the speed of a model. */
export function isMeasured({ costs, processes }: { costs: readonly TextCost[]; processes: number }): boolean {
  return costs !== UNKNOWN_COST && processes > 0
}

/** How many times as long as its work a text takes now: the average over the processes of all workers; 1 without workers. */
export function slowdownOf(model: string, workers: Heartbeat[]): number {
  let sum = 0
  let all = 0
  for (const { processes = 1, models } of workers) {
    for (const { name, speeds = [], slowdown = 1 } of models) {
      if (name !== model) continue
      // Without speeds the cost is that of the last runs, which contains the slowdown.
      sum += (speeds.length > 0 ? slowdown : 1) * processes
      all += processes
    }
  }
  return all > 0 ? sum / all : 1
}

/** Work of a text of `tokens`; between two measured lengths in proportion. */
export function costOf(costs: readonly TextCost[], tokens: number): number {
  const above = costs.findIndex((cost) => cost.tokens >= tokens)
  const last = costs.at(-1) as TextCost
  if (above < 0) return (last.ms * tokens) / last.tokens
  const upper = costs[above] as TextCost
  const lower = costs[above - 1]
  // A shorter text than the shortest that was measured costs as much as that one, because of the overhead.
  if (!lower) return upper.ms
  return lower.ms + ((upper.ms - lower.ms) * (tokens - lower.tokens)) / (upper.tokens - lower.tokens)
}

/** Work of the items. @param maxTokens the model's longest input. */
export function workOf(costs: readonly TextCost[], items: readonly Item[], maxTokens: number): number {
  return items.reduce((sum, { text, pair }) => sum + costOf(costs, estimateTokens(text, pair, maxTokens)), 0)
}
