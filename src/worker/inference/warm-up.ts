// The first runs of a session are slow, and nobody should wait for them; the next ones tell what a run costs.
import { bestOf, type Measurable, measureBatchSensitivity, measureSpeed } from './benchmark.ts'
import type { RunCost, WarmUpReport } from './ipc.ts'

/** Each shape is tried until it has had this many milliseconds, but at least once and at most MOST times. */
const TRY_MS = 40
const MOST = 20
/** Milliseconds for the speeds by length: a start with several models must not take long. */
const SPEED_MS = 300

const TOKENS = 16
const TEXTS = 16
/** No run costs less by itself than so many tokens do; measured on a busy machine, it may look like nothing. */
const LEAST_OVERHEAD_TOKENS = 8

/** Runs a model until it is warm, and measures it. @throws what the session throws. */
export async function warmUp(model: Measurable): Promise<WarmUpReport> {
  await model.runShape(1, Math.min(TOKENS, model.maxTokens))
  const cost = await measureRunCost(model)
  const movement = await measureBatchSensitivity(model)
  return { cost, speeds: await measureSpeed(model, SPEED_MS), movement, maxTokens: model.maxTokens }
}

/** Runs two shapes and draws the line through their best times: overhead + tokens × price. */
async function measureRunCost(model: Measurable): Promise<RunCost> {
  const tokens = Math.min(TOKENS, model.maxTokens)
  const smallMs = await bestOf(() => model.runShape(1, tokens), TRY_MS, MOST)
  const largeMs = await bestOf(() => model.runShape(TEXTS, tokens), TRY_MS, MOST)
  // Where the clock's noise would make it nothing or less, the large run's share is the safe side.
  const tokenMs = Math.max((largeMs - smallMs) / ((TEXTS - 1) * tokens), (0.5 * largeMs) / (TEXTS * tokens))
  return { tokenMs, overheadMs: Math.max(smallMs - tokens * tokenMs, LEAST_OVERHEAD_TOKENS * tokenMs) }
}
