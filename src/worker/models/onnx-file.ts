// ONNX file of a folder, and the files with its external data (weights outside the file).
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize } from 'node:path'
import { PbfReader } from 'pbf'
import { messageOf } from '../../errors.ts'
import { findFile, listNames, ModelError } from './model-files.ts'

export interface OnnxFile {
  /** Relative to the folder. */
  file: string
  bytes: number
  /** Epoch milliseconds. */
  modifiedAt: number
  /** The file, and the files with its external data. */
  parts: string[]
}

/** Names of exporters and of the Hub, in order of preference: `optimum`, `transformers.js`, `sentence-transformers`. */
const NAMES = ['model_quantized', 'model', 'model_int8', 'model_uint8', 'model_optimized', 'model_fp16'].map(
  (name) => `${name}.onnx`,
)

/**
 * Chooses the ONNX file of a model: in `onnx/`, else next to config.json, the first of the usual names; else the only
 * one there is.
 * @param files paths of all files, relative to the model's folder.
 * @returns undefined when there is none, or several with other names.
 */
export function chooseOnnx(files: string[]): string | undefined {
  for (const folder of ['onnx/', '']) {
    const usual = NAMES.find((name) => files.includes(folder + name))
    if (usual) return folder + usual
    const others = onnxIn(files, folder)
    if (others.length > 0) return others.length === 1 ? others[0] : undefined
  }
  return undefined
}

function onnxIn(files: string[], folder: string): string[] {
  return files.filter(
    (file) => file.endsWith('.onnx') && file.startsWith(folder) && !file.slice(folder.length).includes('/'),
  )
}

/** An ONNX file and the files next to it whose names start with its name: `model.onnx_data`, `model.onnx.data`, …. */
export function onnxParts(file: string, files: string[]): string[] {
  return files.filter((other) => other.startsWith(file) && !other.slice(file.length).includes('/'))
}

/**
 * @param wanted the file that inferq.json names.
 * @throws ModelError when there is none, it is not ONNX, or its external data is not in the folder.
 */
export async function findOnnx(dir: string, wanted?: string): Promise<OnnxFile> {
  const names = await listNames(join(dir, 'onnx'))
  const files = [...(await listNames(dir)), ...names.map((name) => `onnx/${name}`)]
  const file = wanted ?? chooseOnnx(files)
  if (file === undefined) throw new ModelError(explainMissing(files))
  const found = await findFile(dir, file)
  if (!found) throw new ModelError(wanted ? `inferq.json: file: ${file} does not exist` : `${file} does not exist`)
  if (found.bytes === 0) throw new ModelError(`${file} is empty`)
  const referenced = await dataFiles(dir, file, found.path)
  const folder = dirname(file) === '.' ? '' : `${dirname(file)}/`
  const siblings = (await listNames(join(dir, folder))).map((name) => folder + name)
  const parts = [...new Set([...onnxParts(file, siblings), ...referenced])].sort()
  return { file, bytes: found.bytes, modifiedAt: found.modifiedAt, parts }
}

/** Why `chooseOnnx` chooses none of these files. */
export function explainMissing(files: string[]): string {
  const others = ['onnx/', ''].flatMap((folder) => onnxIn(files, folder))
  if (others.length === 0) return 'neither onnx/model_quantized.onnx nor onnx/model.onnx exists, nor another ONNX file'
  return `inferq.json: file: must name one of ${others.slice(0, 10).join(', ')}, because none has a usual name`
}

/** Files that its tensors refer to, relative to the model's folder. */
async function dataFiles(dir: string, file: string, path: string): Promise<string[]> {
  const files: string[] = []
  const problems: string[] = []
  for (const location of await locationsIn(file, path)) {
    const data = normalize(join(dirname(file), location))
    if (location.includes('\0') || isAbsolute(location) || data === '.' || data.startsWith('..')) {
      problems.push(`${file}: external_data: ${JSON.stringify(location)} is outside the folder`)
    } else if (await findFile(dir, data)) files.push(data)
    else problems.push(`${file}: external_data: ${data} is missing`)
  }
  if (problems.length > 0) throw new ModelError(problems)
  return files
}

/** The files that an ONNX file refers to, relative to the model's folder; none when it cannot be read. */
export async function externalFiles(dir: string, file: string): Promise<string[]> {
  const locations = await locationsIn(file, join(dir, file)).catch(() => [])
  return [...locations].map((location) => normalize(join(dirname(file), location)))
}

async function locationsIn(file: string, path: string): Promise<Set<string>> {
  try {
    return readOnnx(await readFile(path)).locations
  } catch (error) {
    throw new ModelError(`${file} is not a complete ONNX model: ${messageOf(error)}`)
  }
}

/**
 * The fields of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) that lead to tensors: for each
 * message, the message in each field.
 */
const FIELDS: Record<string, Record<number, string>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'entry' },
}
const OP_TYPE = 4

export interface OnnxContents {
  /** `location` of every tensor's external data. */
  locations: Set<string>
  /** `op_type` of every node. */
  operators: Set<string>
}

/** @throws Error when the bytes are not a complete protobuf message. */
export function readOnnx(onnx: Uint8Array): OnnxContents {
  const contents: OnnxContents = { locations: new Set(), operators: new Set() }
  const reader = new PbfReader(onnx)
  const walk = (message: string, end: number): void => {
    if (end > onnx.length) throw new Error('unexpected end of the file')
    const entry: { key?: string; value?: string } = {}
    reader.readFields(
      (field) => {
        const inner = FIELDS[message]?.[field]
        if (inner) walk(inner, reader.readVarint() + reader.pos)
        else if (message === 'node' && field === OP_TYPE) contents.operators.add(reader.readString())
        else if (message === 'entry' && field === 1) entry.key = reader.readString()
        else if (message === 'entry' && field === 2) entry.value = reader.readString()
      },
      undefined,
      end,
    )
    if (reader.pos > onnx.length) throw new Error('unexpected end of the file')
    if (entry.key === 'location') contents.locations.add(entry.value ?? '')
  }
  walk('model', onnx.length)
  return contents
}

/** Operators that take the scale of a quantization from the values of a run. */
const DYNAMIC = /^(?:DynamicQuantize|MatMulInteger|ConvInteger)/

/** Whether an ONNX file is quantized dynamically, so that a text's scores depend on the rest of its run. */
export async function isDynamicallyQuantized(path: string): Promise<boolean> {
  const { operators } = readOnnx(await readFile(path))
  return [...operators].some((operator) => DYNAMIC.test(operator))
}
