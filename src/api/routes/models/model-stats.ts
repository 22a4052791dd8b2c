// Warm-up measurements of a model, combined over its workers.

import * as z from 'zod'
import type { ServedModel } from '../../../fleet/fleet.ts'
import type { Heartbeat } from '../../../fleet/heartbeat.ts'

type ReportedModel = Heartbeat['models'][number]

export const statsObject = z.object({
  /** The sum over all workers, by ascending length. */
  texts_per_second_by_length: z.array(
    z.object({ tokens: z.int(), texts_per_second: z.int() }).meta({ id: 'SpeedAtLength' }),
  ),
  /** The maximum over all workers; null when no worker serves the model. */
  max_run_tokens: z.union([z.int(), z.null()]),
  /**
   * The largest change of a logit through batching, as a share of the logits' spread, with three significant digits;
   * null when no worker measured it.
   */
  neighbour_movement: z.union([z.number(), z.null()]),
})
export type ModelStats = z.infer<typeof statsObject>

/** Statistics of the current revision, over the workers that take jobs. */
export function modelStats({ name, current, workers }: ServedModel): ModelStats {
  const isCurrent = (model: ReportedModel) => model.name === name && model.revision === current.revision
  const running = workers.filter(({ state }) => state === 'running')
  return combineStats(running.flatMap(({ models }) => models.filter(isCurrent)))
}

/** Combines the reports of several workers on one model; also formats a single report. */
export function combineStats(reports: ReportedModel[]): ModelStats {
  const rates = new Map<number, number>()
  for (const { tokens, textsPerSecond } of reports.flatMap(({ speeds }) => speeds ?? [])) {
    rates.set(tokens, (rates.get(tokens) ?? 0) + textsPerSecond)
  }
  const movements = reports.flatMap(({ movement }) => (movement === undefined ? [] : [movement]))
  return {
    texts_per_second_by_length: [...rates]
      .sort(([a], [b]) => a - b)
      .map(([tokens, rate]) => ({ tokens, texts_per_second: Math.round(rate) })),
    max_run_tokens: reports.length > 0 ? Math.max(...reports.map(({ maxRunTokens }) => maxRunTokens)) : null,
    neighbour_movement: movements.length > 0 ? Number(Math.max(...movements).toPrecision(3)) : null,
  }
}
