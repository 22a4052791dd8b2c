// ONNX Runtime session: packed texts to logits. `run` blocks its thread, so sessions are in inference processes.
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { messageOf } from '../../errors.ts'
import { configFile, firstPosition } from '../models/config-json.ts'
import { ModelError, readJson } from '../models/model-files.ts'
import type { ModelSource } from './ipc.ts'
import { checkedInputs, checkedOutput, type ModelInput, OUTPUT } from './model-signature.ts'
import { fromHalves, type Packed, positionsOf } from './tensors.ts'

export class ModelSession {
  readonly #session: InferenceSession
  readonly #inputs: ModelInput[]
  readonly #source: ModelSource
  readonly #firstPosition: number
  /** Texts per run and tokens per text, where the file fixes them. */
  readonly fixed: { texts: number | undefined; tokens: number | undefined }

  private constructor(session: InferenceSession, inputs: ModelInput[], source: ModelSource, firstPosition: number) {
    this.#session = session
    this.#inputs = inputs
    this.#source = source
    this.#firstPosition = firstPosition
    const ids = inputs.find(({ name }) => name === 'input_ids')
    this.fixed = { texts: ids?.texts, tokens: ids?.tokens }
  }

  /** @throws ModelError when the file cannot be loaded or is not a text classifier. */
  static async load(source: ModelSource, intraOpThreads: number): Promise<ModelSession> {
    const { dir, file, labels } = source
    const session = await open(join(dir, file), intraOpThreads).catch((error: unknown) => {
      throw new ModelError(`${file} cannot be loaded: ${messageOf(error)}`)
    })
    const inputs = checkedInputs(file, session.inputMetadata)
    checkedOutput(file, session.outputMetadata, labels)
    const needsPositions = inputs.some(({ name }) => name === 'position_ids')
    return new ModelSession(
      session,
      inputs,
      source,
      needsPositions ? firstPosition(await readJson(dir, 'config.json', configFile)) : 0,
    )
  }

  /** Whether the model masks padding. */
  get masksPadding(): boolean {
    return this.#inputs.some(({ name }) => name === 'attention_mask')
  }

  /** @returns [texts, labels]. @throws what the session throws; ModelError for another number of logits. */
  async run(packed: Packed): Promise<Float32Array> {
    const feeds = Object.fromEntries(this.#inputs.map((input) => [input.name, this.#tensorFor(input, packed)]))
    const { [OUTPUT]: logits } = await this.#session.run(feeds, [OUTPUT])
    const { file, labels } = this.#source
    const [texts] = packed.dims
    if (logits?.size !== texts * labels) {
      const shape = logits?.dims.join(', ')
      throw new ModelError(
        `${file}: gives logits [${shape}] for a run of ${texts}; config.json names ${labels} labels (id2label)`,
      )
    }
    return numbersOf(logits)
  }

  #tensorFor({ name, type }: ModelInput, packed: Packed): Tensor {
    const values = {
      input_ids: () => packed.inputIds,
      attention_mask: () => packed.attentionMask,
      token_type_ids: () => packed.tokenTypeIds,
      position_ids: () => positionsOf(packed, this.#firstPosition),
    }[name]()
    if (type === 'int64') return new Tensor(type, values, packed.dims)
    if (type === 'int32') return new Tensor(type, Int32Array.from(values, Number), packed.dims)
    return new Tensor(type, Float32Array.from(values, Number), packed.dims)
  }
}

function numbersOf({ data, type }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data
  if (data instanceof Uint16Array && type === 'float16') return fromHalves(data)
  return Float32Array.from(data as Iterable<number>)
}

function open(path: string, intraOpThreads: number): Promise<InferenceSession> {
  return InferenceSession.create(path, {
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Errors only: the warnings that a quantized model causes at load need no action.
    logSeverityLevel: 3,
  })
}
