// Options as the routes have them.
import type { PredictOptions } from './types.ts'

/** What stands beside `inputs` in the body of `POST /predict`. */
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
