// The first runs of a session are slow, and nobody should wait for them; the next ones tell what a run costs.
import type { Pace } from './protocol.ts'
import { type Packed, pack } from './tensors.ts'

/** Each shape is tried until it has had this many milliseconds, but at least once and at most MOST times. */
const TRY_MS = 40
const MOST = 20

const SHAPES = [
  [1, 16],
  [16, 16],
] as const

/**
 * Runs two shapes and draws the line through their best times: overhead + tokens × price.
 * @throws what the session throws.
 */
export async function warmUp(run: (packed: Packed) => Promise<unknown>, maxTokens: number): Promise<Pace> {
  const [small, large] = SHAPES.map(([texts, tokens]) => packedBlank(texts, Math.min(tokens, maxTokens)))
  if (!small || !large) throw new Error('two shapes are needed')
  await run(small)
  const [smallMs, largeMs] = [await bestOf(run, small), await bestOf(run, large)]
  const [smallTokens, largeTokens] = [small.inputIds.length, large.inputIds.length]
  // Where the clock's noise would make it nothing or less, the large run's share is the safe side.
  const tokenMs = Math.max((largeMs - smallMs) / (largeTokens - smallTokens), (0.5 * largeMs) / largeTokens)
  return { tokenMs, overheadMs: Math.max(smallMs - smallTokens * tokenMs, 0.01) }
}

async function bestOf(run: (packed: Packed) => Promise<unknown>, packed: Packed): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  const until = performance.now() + TRY_MS
  for (let tries = 0; tries < MOST && (tries === 0 || performance.now() < until); tries += 1) {
    const began = performance.now()
    await run(packed)
    best = Math.min(best, performance.now() - began)
  }
  return best
}

/** Token 0 is in every vocabulary; what it means makes no difference to the time. */
function packedBlank(texts: number, tokens: number): Packed {
  const blank = { ids: new Array<number>(tokens).fill(0), secondFrom: tokens, truncated: false }
  return pack(new Array<typeof blank>(texts).fill(blank), 0)
}
