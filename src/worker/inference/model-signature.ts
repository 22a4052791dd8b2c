// Inputs and outputs of a model's graph, checked at load: an unsuitable file is refused before the first request.
import type { InferenceSession } from 'onnxruntime-node'
import { ModelError } from '../models/model-files.ts'

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
const INPUT_TYPES = ['int64', 'int32', 'float32'] as const
const OUTPUT_TYPES = ['float32', 'float16', 'float64']
export const OUTPUT = 'logits'

export interface ModelInput {
  name: (typeof INPUTS)[number]
  type: (typeof INPUT_TYPES)[number]
  /** Undefined where the file does not fix them. */
  texts: number | undefined
  tokens: number | undefined
}

/** @throws ModelError with the file and the input. */
export function checkedInputs(file: string, inputs: readonly InferenceSession.ValueMetadata[]): ModelInput[] {
  const unsupported = inputs.filter(({ name }) => !isOneOf(INPUTS, name)).map(({ name }) => `"${name}"`)
  if (unsupported.length > 0) {
    throw new ModelError(
      `${file}: its input ${unsupported.join(', ')} is not supported; supported: ${INPUTS.join(', ')}`,
    )
  }
  if (!inputs.some(({ name }) => name === 'input_ids')) throw new ModelError(`${file}: has no input "input_ids"`)
  return inputs.map((input) => checkedInput(file, input))
}

function checkedInput(file: string, input: InferenceSession.ValueMetadata): ModelInput {
  const { name } = input
  if (!input.isTensor || !isOneOf(INPUTS, name)) throw new ModelError(`${file}: its input "${name}" is not a tensor`)
  const { type, shape } = input
  if (!isOneOf(INPUT_TYPES, type)) {
    throw new ModelError(`${file}: its input "${name}" is ${type}; supported: ${INPUT_TYPES.join(', ')}`)
  }
  if (shape.length !== 2) {
    throw new ModelError(`${file}: its input "${name}" has ${shape.length} dimensions, not 2 (texts, tokens)`)
  }
  return { name, type, texts: fixed(shape[0]), tokens: fixed(shape[1]) }
}

/**
 * Checks the number of labels where the shape fixes it; otherwise the first run does.
 * @throws ModelError with the file and the output.
 */
export function checkedOutput(file: string, outputs: readonly InferenceSession.ValueMetadata[], labels: number): void {
  const logits = outputs.find(({ name }) => name === OUTPUT)
  if (!logits) {
    const names = outputs.map(({ name }) => `"${name}"`).join(', ')
    throw new ModelError(`${file}: has no output "${OUTPUT}"; is it a classifier? Its outputs: ${names}`)
  }
  if (!logits.isTensor || !OUTPUT_TYPES.includes(logits.type)) {
    const type = logits.isTensor ? logits.type : 'not a tensor'
    throw new ModelError(`${file}: its logits are ${type}; supported: ${OUTPUT_TYPES.join(', ')}`)
  }
  const { shape } = logits
  if (shape.length > 2) {
    throw new ModelError(
      `${file}: its logits have ${shape.length} dimensions, not 2 (texts, labels); is it a classifier?`,
    )
  }
  const logitsPerText = shape.length === 2 ? fixed(shape[1]) : undefined
  if (logitsPerText !== undefined && logitsPerText !== labels) {
    throw new ModelError(`${file}: gives ${logitsPerText} logits a text; config.json names ${labels} labels (id2label)`)
  }
}

/** @returns a fixed dimension; undefined for a dynamic one (a name, -1 or nothing). */
function fixed(dimension: number | string | undefined): number | undefined {
  return typeof dimension === 'number' && dimension > 0 ? dimension : undefined
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name)
}
