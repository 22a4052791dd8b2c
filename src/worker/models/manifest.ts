// What a model's folder says of itself: the layout of the Hugging Face Hub, as `optimum-cli export onnx` writes it.
import type { ModelRecord } from '../../records/models.ts'
import type { InferqFile } from './inferq-json.ts'

/** A model that can be loaded. */
export interface Manifest extends ModelRecord {
  /** Its folder, absolute. */
  dir: string
  /** Jobs fetched at once, an inference process, where the folder says so. */
  lanes: NonNullable<InferqFile['lanes']>
}
