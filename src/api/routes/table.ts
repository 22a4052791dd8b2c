// The route table, without the dashboard and /docs.
import type { ApiConfig } from '../config.ts'
import type { Context } from '../context.ts'
import type { Route } from '../http/route.ts'
import { batchRoutes } from './batches.ts'
import { fileRoutes } from './files.ts'
import { modelRoutes } from './models.ts'
import { operationRoutes } from './operations.ts'
import { predictRoutes } from './predict.ts'
import { predictionRoutes } from './predictions.ts'
import { replicateModelRoutes } from './replicate-models.ts'
import { createSchemas } from './schema.ts'
import { pageRoutes } from './web-page.ts'

export function createRoutes(config: Pick<ApiConfig, 'maxInputs' | 'maxTextChars'>): Route<Context>[] {
  const schemas = createSchemas(config)
  return [
    ...predictRoutes(schemas),
    ...predictionRoutes(schemas),
    ...fileRoutes,
    ...batchRoutes(schemas),
    ...modelRoutes,
    ...replicateModelRoutes,
    ...operationRoutes,
    ...pageRoutes,
  ]
}
