// The table of everything the api serves, besides the dashboard and /docs. The OpenAPI document is made from it.
import type { ApiConfig } from './config.ts'
import type { Route } from './http/route.ts'
import { batchRoutes } from './routes/batches.ts'
import { fileRoutes } from './routes/files.ts'
import { modelRoutes } from './routes/models.ts'
import { operationRoutes } from './routes/operations.ts'
import { pageRoutes } from './routes/pages.ts'
import { predictRoutes } from './routes/predict.ts'
import { predictionRoutes } from './routes/predictions.ts'
import { createSchemas } from './schema.ts'

export function createRoutes(config: Pick<ApiConfig, 'maxInputs' | 'maxTextChars'>): Route[] {
  const schemas = createSchemas(config)
  return [
    ...predictRoutes(schemas),
    ...predictionRoutes(schemas),
    ...fileRoutes,
    ...batchRoutes(schemas),
    ...modelRoutes,
    ...operationRoutes,
    ...pageRoutes,
  ]
}
