// Manifest of a model's folder, in the layout of the Hugging Face Hub that `optimum-cli export onnx` writes.
import type { ModelRecord } from '../../records/models.ts'
import type { InferqFile } from './inferq-json.ts'

/** A model that can be loaded. */
export interface Manifest extends ModelRecord {
  /** Absolute path of its folder. */
  dir: string
  /** Concurrent jobs per inference process, where inferq.json sets them. */
  lanes: NonNullable<InferqFile['lanes']>
}
