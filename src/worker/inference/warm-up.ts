// Warm-up of a model. The first runs of a session are slow, so they are computed before the worker takes jobs; the
// following ones measure what a run costs.
import { bestOf, type Measurable, measureBatchSensitivity, measureSpeed } from './benchmark.ts'
import type { RunCost, WarmUpReport } from './ipc.ts'

/** Milliseconds for the runs of one shape: at least one run, at most MAX_TRIES. */
const SHAPE_BUDGET_MS = 40
const MAX_TRIES = 20
/** Milliseconds for the speeds by length, short because each model of a worker adds them to its start. */
const SPEED_BUDGET_MS = 300

const TOKENS = 16
const TEXTS = 16
/** The overhead of a run is at least the cost of this many tokens; a busy machine may make it look like 0. */
const MIN_OVERHEAD_TOKENS = 8

/** Runs a model until it is warm, and measures it. @throws what the session throws. */
export async function warmUp(model: Measurable): Promise<WarmUpReport> {
  await model.runShape(1, Math.min(TOKENS, model.maxTokens))
  const cost = await measureRunCost(model)
  const movement = await measureBatchSensitivity(model)
  return { cost, speeds: await measureSpeed(model, SPEED_BUDGET_MS), movement, maxTokens: model.maxTokens }
}

/** Fits a line through the best times of two shapes: overhead + tokens × time per token. */
async function measureRunCost(model: Measurable): Promise<RunCost> {
  const tokens = Math.min(TOKENS, model.maxTokens)
  const smallMs = await bestOf(() => model.runShape(1, tokens), SHAPE_BUDGET_MS, MAX_TRIES)
  const largeMs = await bestOf(() => model.runShape(TEXTS, tokens), SHAPE_BUDGET_MS, MAX_TRIES)
  // Noise can make the difference 0 or negative; half of the large run's time per token is the lower bound.
  const tokenMs = Math.max((largeMs - smallMs) / ((TEXTS - 1) * tokens), (0.5 * largeMs) / (TEXTS * tokens))
  return { tokenMs, overheadMs: Math.max(smallMs - tokens * tokenMs, MIN_OVERHEAD_TOKENS * tokenMs) }
}
