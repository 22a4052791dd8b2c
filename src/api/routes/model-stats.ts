// What the workers measured of a model when they warmed it, all of them together.
import type { Heartbeat } from '../../fleet/heartbeat.ts'
import type { ServedModel } from '../../fleet/fleet.ts'
import { z } from 'zod'

type ReportedModel = Heartbeat['models'][number]

export const statsObject = z.object({
  /** The sum over workers, the shortest length first. */
  texts_per_second_by_length: z.array(z.object({ tokens: z.number(), texts_per_second: z.number() })),
  /** The largest of any worker; null when none serves it. */
  max_run_tokens: z.number().nullable(),
  /** The largest move of a logit over the logits' spread, with three significant digits; null when nobody measured it. */
  neighbour_movement: z.number().nullable(),
})
export type ModelStats = z.infer<typeof statsObject>

/** Of the current revision, by the workers that take jobs. */
export function modelStats({ name, current, workers }: ServedModel): ModelStats {
  const isCurrent = (told: ReportedModel) => told.name === name && told.revision === current.revision
  const running = workers.filter(({ state }) => state === 'running')
  return combineStats(running.flatMap(({ models }) => models.filter(isCurrent)))
}

/** What several workers told of one model, or one of them. */
export function combineStats(told: ReportedModel[]): ModelStats {
  const rates = new Map<number, number>()
  for (const { tokens, textsPerSecond } of told.flatMap(({ speeds }) => speeds ?? [])) {
    rates.set(tokens, (rates.get(tokens) ?? 0) + textsPerSecond)
  }
  const movements = told.flatMap(({ movement }) => (movement === undefined ? [] : [movement]))
  return {
    texts_per_second_by_length: [...rates]
      .sort(([a], [b]) => a - b)
      .map(([tokens, rate]) => ({ tokens, texts_per_second: Math.round(rate) })),
    max_run_tokens: told.length > 0 ? Math.max(...told.map(({ maxRunTokens }) => maxRunTokens)) : null,
    neighbour_movement: movements.length > 0 ? Number(Math.max(...movements).toPrecision(3)) : null,
  }
}
