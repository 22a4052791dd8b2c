// Turns of owners in one lane of a worker, over all models: start-time fair queueing by estimated tokens.
import type { Group } from './length-buckets.ts'

/** The same rule as for the queues in Redis (queue/flow.ts), applied to the jobs that this worker holds. */
export class FairOrder {
  readonly #finishTags = new Map<string, number>()
  #virtualTime = 0

  /** The start tag of a group that arrives now: the virtual time, or the finish tag of its owner's last group. */
  enter({
    owner,
    model,
    weight,
    estimatedTokens,
  }: Pick<Group, 'owner' | 'model' | 'weight' | 'estimatedTokens'>): number {
    for (const [flow, tag] of this.#finishTags) if (tag <= this.#virtualTime) this.#finishTags.delete(flow)
    // Models of one owner take turns too, so that a small batch of one does not wait for a large one of another.
    const flow = `${owner} ${model}`
    const start = Math.max(this.#virtualTime, this.#finishTags.get(flow) ?? 0)
    const tokens = estimatedTokens.reduce((sum, count) => sum + count, 0)
    this.#finishTags.set(flow, start + tokens / weight)
    return start
  }

  /** Sets the virtual time to the tag of the group that runs now. */
  advance(tag: number): void {
    this.#virtualTime = Math.max(this.#virtualTime, tag)
  }
}
