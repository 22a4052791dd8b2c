// Inspection of a model's folder: the manifest, or all problems together, each with its file and field.
import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { modelNameProblem } from '../../queue/names.ts'
import {
  configFile,
  labelsFromConfig,
  maxTokensOf,
  problemTypeOf,
  tokenizerConfigFile,
  tokenizerFile,
} from './config-json.ts'
import { digestProblems, digestsOf } from './digests.ts'
import { INFERQ_FILE, inferqFile } from './inferq-json.ts'
import type { Manifest } from './manifest.ts'
import { findFile, ModelError, readJson, readOptionalJson, readOptionalText } from './model-files.ts'
import { findOnnx } from './onnx-file.ts'

export interface Inspection {
  /** Undefined when there are problems. */
  manifest: Manifest | undefined
  /** One line each; empty when the folder can be loaded. */
  problems: string[]
}

/** Files, besides the ONNX file, that results depend on. */
export const TEXT_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
export const CARD_FILE = 'README.md'
const CARD_CHARS = 4_000

/** Reads the folder without loading the model, so problems that only ONNX Runtime finds are not reported. */
export async function inspectFolder(name: string, dir: string): Promise<Inspection> {
  const problems: string[] = []
  const collect = async <T>(step: Promise<T>): Promise<T | undefined> => {
    try {
      return await step
    } catch (error) {
      if (!(error instanceof ModelError)) throw error
      problems.push(...error.problems)
      return undefined
    }
  }
  const nameProblem = modelNameProblem(name)
  if (nameProblem) problems.push(nameProblem)
  if (!(await exists(dir)))
    return {
      manifest: undefined,
      problems: [...problems, 'there is no such folder (a model of the Hub is named owner/name)'],
    }

  const config = await collect(readJson(dir, 'config.json', configFile))
  await collect(readJson(dir, 'tokenizer.json', tokenizerFile))
  const tokenizer = await collect(readJson(dir, 'tokenizer_config.json', tokenizerConfigFile))
  const settings = await collect(readOptionalJson(dir, INFERQ_FILE, inferqFile))
  const onnx = await collect(findOnnx(dir, settings?.file))
  const card = await collect(readOptionalText(dir, CARD_FILE))
  const limit = config && maxTokensOf(config, tokenizer?.model_max_length ?? undefined)
  if (settings?.maxTokens && limit && settings.maxTokens > limit) {
    problems.push(`${INFERQ_FILE}: maxTokens: is ${settings.maxTokens}, but the model takes ${limit} at most`)
  }
  if (!config || !onnx || !limit || problems.length > 0) return { manifest: undefined, problems }

  // inferq.json is part of the revision, because results depend on it; it cannot contain its own digest.
  const settingsFile = (await findFile(dir, INFERQ_FILE)) ? [INFERQ_FILE] : []
  const digests = await collect(digestsOf(dir, [...TEXT_FILES, ...onnx.parts, ...settingsFile]))
  if (digests && settings?.sha256) {
    digests.sha256.delete(INFERQ_FILE)
    problems.push(...digestProblems(digests.sha256, settings.sha256).map((problem) => `${INFERQ_FILE}: ${problem}`))
  }
  if (!digests || problems.length > 0) return { manifest: undefined, problems }

  const labels = labelsFromConfig(config)
  const manifest = {
    name,
    dir: resolve(dir),
    revision: digests.revision,
    problemType: problemTypeOf(config, labels.length),
    labels,
    maxTokens: settings?.maxTokens ?? limit,
    file: onnx.file,
    bytes: onnx.bytes,
    createdAt: onnx.modifiedAt,
    architecture: config.model_type,
    card: cardOf(card ?? ''),
    lanes: settings?.lanes ?? {},
    ...(settings?.function ? { function: settings.function } : {}),
    ...(settings?.isolate ? { isolate: true } : {}),
  }
  return { manifest, problems }
}

async function exists(dir: string): Promise<boolean> {
  return realpath(dir).then(
    () => true,
    () => false,
  )
}

/** The model card without its front matter. */
function cardOf(readme: string): string {
  return readme
    .replace(/^---\r?\n[\s\S]*?\r?\n---\r?\n/, '')
    .trim()
    .slice(0, CARD_CHARS)
}

/**
 * Reads the folder of a model.
 * @throws ModelError with all its problems.
 */
export async function readManifest(name: string, dir: string): Promise<Manifest> {
  const { manifest, problems } = await inspectFolder(name, dir)
  if (!manifest) throw new ModelError(problems)
  return manifest
}
