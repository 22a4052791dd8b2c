// What the package exports as `inferq/client`.

export { resultOf } from './calls/batch-result.ts'
export type { BatchRow, RunBatch } from './calls/batch-run.ts'
export type { CreateBatch, ResultsOptions, WaitOptions } from './calls/batches.ts'
export type { PredictionEvent } from './calls/events.ts'
export type { FileUpload } from './calls/files.ts'
export type { CreatePrediction, PredictionPage, StreamOptions } from './calls/predictions.ts'
export type { LargeUpload } from './calls/uploads.ts'
export type { WebhookSecret } from './calls/webhooks.ts'
export { type ClientOptions, Inferq } from './client.ts'
export { BatchError, ConnectionError, InferqError, type InputProblem } from './errors.ts'
export type {
  Batch,
  BatchLine,
  FileObject,
  Health,
  LabelScore,
  ModelInfo,
  Page,
  PredictInput,
  Prediction,
  PredictionStatus,
  PredictOptions,
  PredictResult,
  QueueInfo,
  ServerInfo,
  WorkerInfo,
} from './types.ts'
export {
  signWebhook,
  type VerifyOptions,
  verifyWebhook,
  WebhookError,
  type WebhookHeaders,
} from './webhook-signature.ts'
