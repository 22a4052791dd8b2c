// Records as workers and apis write them, for tests without either.
import type { BatchRecord } from '../../src/records/batches.ts'
import type { ModelRecord } from '../../src/records/models.ts'

export const MODEL_RECORD: ModelRecord = {
  name: 'm',
  revision: 'r',
  problemType: 'single_label',
  labels: ['a'],
  maxTokens: 8,
  file: 'onnx/model.onnx',
  bytes: 1,
  architecture: 'bert',
  card: '',
}

export const BATCH_RECORD: BatchRecord = {
  hash: 'h',
  input: 'i',
  endpoint: '/predict',
  window: '1h',
  metadata: 'null',
  output_ttl: 1,
  created_at: 1,
  expires_at: 1,
  stage: 'validating',
  total: 0,
  completed: 0,
  failed: 0,
}
