// What a model's folder says of itself: the layout of the Hugging Face Hub, as `optimum-cli export onnx` writes it.
import type { ModelRecord } from '../../records/models.ts'
import { BadModel } from './model-files.ts'
import type { InferqFile } from './inferq-json.ts'
import { inspectFolder } from './inspect.ts'

/** A model that can be loaded. */
export interface Manifest extends ModelRecord {
  /** Its folder, absolute. */
  dir: string
  /** Jobs fetched at once, an inference process, where the folder says so. */
  lanes: NonNullable<InferqFile['lanes']>
}

/**
 * Reads the folder of a model.
 * @throws BadModel with everything that is wrong with it.
 */
export async function readManifest(name: string, dir: string): Promise<Manifest> {
  const { manifest, problems } = await inspectFolder(name, dir)
  if (!manifest) throw new BadModel(problems)
  return manifest
}
