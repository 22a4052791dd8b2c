// The route table, without the dashboard and /docs.
import type { ApiConfig } from '../config.ts'
import type { Context } from '../context.ts'
import type { Route } from '../http/route.ts'
import { batchRoutes } from './batches.ts'
import { fileRoutes } from './files/files.ts'
import { uploadRoutes } from './files/uploads.ts'
import { modelEndpointRoutes } from './models/model-endpoint.ts'
import { modelRoutes } from './models/models.ts'
import { replicateModelRoutes } from './models/replicate-models.ts'
import { operationRoutes } from './operations.ts'
import { predictRoutes } from './predict.ts'
import { predictionRoutes } from './predictions.ts'
import { createSchemas } from './schema.ts'
import { pageRoutes } from './web-page.ts'
import { webhookRoutes } from './webhooks.ts'

/** The sections of the OpenAPI document. */
export const TAGS = {
  Predict: 'Classify texts and wait for the answer',
  Predictions: "Classify texts with an id to poll, after Replicate's API",
  Files: "Inputs and outputs of batches, after OpenAI's API",
  Batches: "Many requests of one file, after OpenAI's API",
  Webhooks: 'Requests that the api sends when something has ended',
  Models: 'What is served',
  Operations: 'Health, metrics, and what the server is',
  Pages: 'For browsers',
}

export function createRoutes(config: Pick<ApiConfig, 'maxInputs' | 'maxTextChars'>): Route<Context>[] {
  const schemas = createSchemas(config)
  return [
    ...predictRoutes(schemas),
    ...predictionRoutes(schemas),
    ...fileRoutes,
    ...uploadRoutes,
    ...batchRoutes(schemas),
    ...webhookRoutes,
    ...modelRoutes,
    ...replicateModelRoutes,
    ...modelEndpointRoutes,
    ...operationRoutes,
    ...pageRoutes,
  ]
}
