// One ONNX Runtime session: packed texts in, logits out. `run` blocks this thread for as long as it computes, which
// is why sessions live in processes of their own.
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { messageOf } from '../../errors.ts'
import { BadModel } from '../models/files.ts'
import type { ModelSource } from './protocol.ts'
import type { Packed } from './tensors.ts'

const INPUTS = new Set(['input_ids', 'attention_mask', 'token_type_ids'])
const OUTPUT = 'logits'

export class ModelSession {
  readonly #session: InferenceSession
  readonly #labels: number
  readonly #takes: Set<string>

  private constructor(session: InferenceSession, labels: number) {
    this.#session = session
    this.#labels = labels
    this.#takes = new Set(session.inputNames)
  }

  /** @throws BadModel when the file cannot be loaded, or is not a text classifier's. */
  static async load(source: ModelSource, intraOpThreads: number): Promise<ModelSession> {
    const { dir, file, labels } = source
    const session = await open(join(dir, file), intraOpThreads).catch((error: unknown) => {
      throw new BadModel(`${file} cannot be loaded: ${messageOf(error)}`)
    })
    const strange = session.inputNames.filter((name) => !INPUTS.has(name))
    if (strange.length > 0) throw new BadModel(`${file}: has the input ${strange.join(', ')}, which texts do not have`)
    if (!session.outputNames.includes(OUTPUT)) {
      throw new BadModel(
        `${file}: has no output "${OUTPUT}"; is it a classifier? It has ${session.outputNames.join(', ')}`,
      )
    }
    return new ModelSession(session, labels)
  }

  /** @returns [texts, labels] @throws what the session throws; Error when it gives another number of logits. */
  async run({ inputIds, attentionMask, tokenTypeIds, dims }: Packed): Promise<Float32Array> {
    const feeds: Record<string, Tensor> = { input_ids: new Tensor('int64', inputIds, dims) }
    if (this.#takes.has('attention_mask')) feeds['attention_mask'] = new Tensor('int64', attentionMask, dims)
    if (this.#takes.has('token_type_ids')) feeds['token_type_ids'] = new Tensor('int64', tokenTypeIds, dims)
    const { [OUTPUT]: logits } = await this.#session.run(feeds, [OUTPUT])
    if (!(logits?.data instanceof Float32Array)) throw new Error(`the logits are ${logits?.type}, not float32`)
    const expected = dims[0] * this.#labels
    if (logits.data.length !== expected) {
      const each = logits.data.length / dims[0]
      throw new Error(`the model gives ${each} logits a text, its config.json names ${this.#labels} labels`)
    }
    return logits.data
  }
}

function open(path: string, intraOpThreads: number): Promise<InferenceSession> {
  return InferenceSession.create(path, {
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Errors only: a quantised model's warnings on loading help nobody who serves it.
    logSeverityLevel: 3,
  })
}
