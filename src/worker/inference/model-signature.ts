// What the graph of a model asks for and gives, and whether that is a text classifier's. Checked when it is loaded, so
// that a wrong file is no request's surprise.
import type { InferenceSession } from 'onnxruntime-node'
import { ModelError } from '../models/model-files.ts'

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
const INPUT_TYPES = ['int64', 'int32', 'float32'] as const
const OUTPUT_TYPES = ['float32', 'float16', 'float64']
export const OUTPUT = 'logits'

export interface ModelInput {
  name: (typeof INPUTS)[number]
  type: (typeof INPUT_TYPES)[number]
  /** Where the file fixes them. */
  texts: number | undefined
  tokens: number | undefined
}

/** @throws BadModel that names the file and the input. */
export function checkedInputs(file: string, inputs: readonly InferenceSession.ValueMetadata[]): ModelInput[] {
  const strange = inputs.filter(({ name }) => !isOneOf(INPUTS, name)).map(({ name }) => `"${name}"`)
  if (strange.length > 0) {
    throw new ModelError(`${file}: has the input ${strange.join(', ')}, which texts do not have`)
  }
  if (!inputs.some(({ name }) => name === 'input_ids')) throw new ModelError(`${file}: has no input "input_ids"`)
  return inputs.map((input) => checkedInput(file, input))
}

function checkedInput(file: string, input: InferenceSession.ValueMetadata): ModelInput {
  const { name } = input
  if (!input.isTensor || !isOneOf(INPUTS, name)) throw new ModelError(`${file}: its input "${name}" is no tensor`)
  const { type, shape } = input
  if (!isOneOf(INPUT_TYPES, type)) {
    throw new ModelError(`${file}: its input "${name}" is ${type}; ${INPUT_TYPES.join(', ')} can be given`)
  }
  if (shape.length !== 2) {
    throw new ModelError(`${file}: its input "${name}" has ${shape.length} dimensions, not 2 (texts, tokens)`)
  }
  return { name, type, texts: fixed(shape[0]), tokens: fixed(shape[1]) }
}

/** What the shape says of the number of labels is checked here; what it leaves open, at the first run. @throws BadModel */
export function checkedOutput(file: string, outputs: readonly InferenceSession.ValueMetadata[], labels: number): void {
  const logits = outputs.find(({ name }) => name === OUTPUT)
  if (!logits) {
    const there = outputs.map(({ name }) => `"${name}"`).join(', ')
    throw new ModelError(`${file}: has no output "${OUTPUT}"; is it a classifier? It has ${there}`)
  }
  if (!logits.isTensor || !OUTPUT_TYPES.includes(logits.type)) {
    throw new ModelError(`${file}: its logits are ${logits.isTensor ? logits.type : 'no tensor'}, not numbers`)
  }
  const { shape } = logits
  if (shape.length > 2) {
    throw new ModelError(
      `${file}: its logits have ${shape.length} dimensions, not 2 (texts, labels); is it a classifier?`,
    )
  }
  const each = shape.length === 2 ? fixed(shape[1]) : undefined
  if (each !== undefined && each !== labels) {
    throw new ModelError(`${file}: gives ${each} logits a text; config.json names ${labels} labels (id2label)`)
  }
}

/** A number is a fixed dimension; a name, nothing or -1 is one that the caller chooses. */
function fixed(dimension: number | string | undefined): number | undefined {
  return typeof dimension === 'number' && dimension > 0 ? dimension : undefined
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name)
}
