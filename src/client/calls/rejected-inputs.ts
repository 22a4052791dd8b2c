// Inputs that the server rejects, of a request with several.
import type { InferqError } from '../errors.ts'

/** @returns the reasons by position of the input; undefined when the request as a whole is rejected. */
export function rejectedInputs({ status, problems }: InferqError, count: number): Map<number, string> | undefined {
  if (status !== 422 || problems.length === 0) return undefined
  const reasons = problems.map(({ path, index, message }) => {
    const at = index ?? Number(/^inputs\[(\d+)\]/.exec(path ?? '')?.[1] ?? Number.NaN)
    return [at, message] as const
  })
  return reasons.every(([at]) => Number.isInteger(at) && at < count) ? new Map(reasons) : undefined
}
