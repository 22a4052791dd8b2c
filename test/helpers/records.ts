// Records as workers and apis write them, for tests without either.
import type { BatchRecord } from '../../src/records/batches.ts'
import type { FileRecord } from '../../src/records/files.ts'
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

export const FILE_RECORD: FileRecord = {
  filename: 'requests.jsonl',
  bytes: 1,
  purpose: 'batch',
  created_at: 1,
  expires_at: Date.UTC(2100),
}
