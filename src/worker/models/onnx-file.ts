// ONNX file of a folder, and the files with its external data (weights outside the file).
import { readFile } from 'node:fs/promises'
import { isAbsolute, join, normalize } from 'node:path'
import { PbfReader } from 'pbf'
import { messageOf } from '../../errors.ts'
import { findFile, listNames, ModelError } from './model-files.ts'

export interface OnnxFile {
  /** Relative to the folder. */
  file: string
  bytes: number
  /** The file, and the files with its external data. */
  parts: string[]
}

/** In order of preference; the first that exists is served. */
export const ONNX_FILES = ['onnx/model_quantized.onnx', 'onnx/model.onnx'] as const

/** @throws ModelError when there is none, it is not ONNX, or its external data is not in the folder. */
export async function findOnnx(dir: string): Promise<OnnxFile> {
  for (const file of ONNX_FILES) {
    const found = await findFile(dir, file)
    if (!found) continue
    if (found.bytes === 0) throw new ModelError(`${file} is empty`)
    const referenced = await dataFiles(dir, file, found.path)
    // `model.onnx_data`, `model.onnx.data`, …: files whose names start with its name belong to it.
    const siblings = (await listNames(join(dir, 'onnx')))
      .map((name) => `onnx/${name}`)
      .filter((name) => name.startsWith(file))
    return { file, bytes: found.bytes, parts: [...new Set([...siblings, ...referenced])].sort() }
  }
  throw new ModelError(`neither ${ONNX_FILES.join(' nor ')} exists`)
}

/** Files that its tensors refer to, relative to the model's folder. */
async function dataFiles(dir: string, file: string, path: string): Promise<string[]> {
  const files: string[] = []
  const problems: string[] = []
  for (const location of await locationsIn(file, path)) {
    const data = normalize(join('onnx', location))
    if (location.includes('\0') || isAbsolute(location) || data === '.' || data.startsWith('..')) {
      problems.push(`${file}: external_data: ${JSON.stringify(location)} is outside the folder`)
    } else if (await findFile(dir, data)) files.push(data)
    else problems.push(`${file}: external_data: ${data} is missing`)
  }
  if (problems.length > 0) throw new ModelError(problems)
  return files
}

async function locationsIn(file: string, path: string): Promise<Set<string>> {
  try {
    return externalLocations(await readFile(path))
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

/** `location` of every tensor's external data. @throws Error when the bytes are not a complete protobuf message. */
export function externalLocations(onnx: Uint8Array): Set<string> {
  const locations = new Set<string>()
  const reader = new PbfReader(onnx)
  const walk = (message: string, end: number): void => {
    if (end > onnx.length) throw new Error('unexpected end of the file')
    const entry: { key?: string; value?: string } = {}
    reader.readFields(
      (field) => {
        const inner = FIELDS[message]?.[field]
        if (inner) walk(inner, reader.readVarint() + reader.pos)
        else if (message === 'entry' && field === 1) entry.key = reader.readString()
        else if (message === 'entry' && field === 2) entry.value = reader.readString()
      },
      undefined,
      end,
    )
    if (reader.pos > onnx.length) throw new Error('unexpected end of the file')
    if (entry.key === 'location') locations.add(entry.value ?? '')
  }
  walk('model', onnx.length)
  return locations
}
