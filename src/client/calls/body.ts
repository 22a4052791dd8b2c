// Options of a prediction as members of the request body.
import type { PredictOptions } from '../types.ts'

/** @returns the members next to `inputs` in the body of `POST /predict`. */
export function bodyOf({
  model,
  topK,
  function: fn,
  truncate,
  truncationDirection,
}: PredictOptions): Record<string, unknown> {
  const parameters = {
    ...(topK === undefined ? {} : { top_k: topK }),
    ...(fn === undefined ? {} : { function_to_apply: fn }),
  }
  return {
    ...(model === undefined ? {} : { model }),
    ...(truncate === undefined ? {} : { truncate }),
    ...(truncationDirection === undefined ? {} : { truncation_direction: truncationDirection }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  }
}
