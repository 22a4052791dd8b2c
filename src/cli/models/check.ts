// `inferq models check`: loads and measures a model as a worker does.

import { join } from 'node:path'
import { messageOf } from '../../errors.ts'
import { MAX_ROUNDING_SHARE, measureBatchSensitivity, measureSpeed } from '../../worker/inference/benchmark.ts'
import { OnnxClassifier } from '../../worker/inference/classifier.ts'
import type { BatchSensitivity, SpeedAt } from '../../worker/inference/ipc.ts'
import type { Manifest } from '../../worker/models/manifest.ts'
import { isDynamicallyQuantized } from '../../worker/models/onnx-file.ts'
import { CommandError, EXIT } from '../failure.ts'
import { bytesText, countText } from '../format.ts'
import { print, report, type Terminal } from '../terminal.ts'
import { inspect, listProblems } from './folder.ts'

/** Longer than a worker measures, for figures that vary less. */
const BENCHMARK_MS = 3_000

/**
 * Scores that depend on the batch are not a failure; the output states the remedy. With `json` the output is one object.
 * @returns the exit code. @throws CommandError with all problems.
 */
export async function checkModel(folder: string, json: boolean, terminal: Terminal): Promise<number> {
  const { manifest, problems } = await inspect(folder)
  if (!manifest) {
    if (json) await print(terminal.stdout, `${JSON.stringify({ problems })}\n`)
    throw new CommandError(listProblems(folder, problems))
  }
  if (!json) await print(terminal.stdout, describe(manifest))
  const loaded = await loadForCheck(manifest, folder, terminal)
  const speeds = await measureSpeed(loaded.classifier, BENCHMARK_MS)
  const sensitivity = await measureBatchSensitivity(loaded.classifier)
  if (json) {
    await print(terminal.stdout, `${JSON.stringify({ problems, ...figuresOf(manifest, speeds, sensitivity) })}\n`)
    return EXIT.ok
  }
  const isDynamic = await isDynamicallyQuantized(join(manifest.dir, manifest.file))
  const depends = sensitivityText(sensitivity, manifest, folder, isDynamic)
  await print(terminal.stdout, `${loaded.line}\n${speedTable(speeds)}${depends}`)
  return EXIT.ok
}

/** @throws CommandError with the message that a worker would log. */
export async function loadForCheck(manifest: Manifest, folder: string, terminal: Terminal) {
  if (terminal.stderr.isTTY) report(terminal, `loading ${manifest.file} …`)
  const began = performance.now()
  const { name, dir, file, labels, maxTokens, isolate } = manifest
  const source = { name, dir, file, labels: labels.length, maxTokens, isolate }
  try {
    const classifier = await OnnxClassifier.load(source, 1)
    return { classifier, line: `loaded and warmed up in ${((performance.now() - began) / 1_000).toFixed(1)} s` }
  } catch (error) {
    throw new CommandError(listProblems(folder, [messageOf(error)]), { cause: error })
  }
}

function describe(manifest: Manifest): string {
  const { name, revision, file, bytes, architecture, problemType, labels, maxTokens } = manifest
  const listed = labels.length > 8 ? [...labels.slice(0, 8), `… ${labels.length} in total`] : labels
  return `${name}@${revision}: ${file}, ${bytesText(bytes)}, ${architecture}
${problemType}, labels ${listed.join(', ')}; at most ${maxTokens} tokens
`
}

/** Named as in `/v1/models`. */
function figuresOf(manifest: Manifest, speeds: SpeedAt[], { share }: BatchSensitivity): Record<string, unknown> {
  const { name, revision, file, bytes, architecture, problemType, labels, maxTokens, isolate } = manifest
  return {
    name,
    revision,
    file,
    bytes,
    architecture,
    problem_type: problemType,
    labels,
    max_tokens: maxTokens,
    isolate,
    speed: speeds.map(({ tokens, textsPerSecond }) => ({ tokens, texts_per_second: textsPerSecond })),
    neighbour_movement: isolate ? 0 : share,
  }
}

/** For a model that is not quantized dynamically: then nothing but the padding depends on the neighbors. */
const PADDING_ADVICE = 'Better: set pad_token_id in config.json to the padding token with which the model was exported.'

function speedTable(speeds: SpeedAt[]): string {
  const rows = speeds.map(({ tokens, textsPerSecond }) => {
    const rate = textsPerSecond < 10 ? textsPerSecond.toFixed(1) : countText(textsPerSecond)
    return `  ${String(tokens).padStart(6)} tokens ${rate.padStart(9)} texts/s\n`
  })
  return `speed of one process with one thread:\n${rows.join('')}`
}

function sensitivityText(
  { largest, share }: BatchSensitivity,
  { isolate }: Manifest,
  folder: string,
  isDynamic: boolean,
): string {
  if (isolate) return `"isolate" is set: every text is computed alone, so its scores cannot depend on its neighbors\n`
  const percent = `${(share * 100).toPrecision(2)} % of their spread`
  const change =
    largest === 0 ? 'the logits do not change' : `the logits change by ${largest.toExponential(1)}, ${percent}`
  if (share <= MAX_ROUNDING_SHARE) return `a text's scores do not depend on its neighbors: ${change}\n`
  return `a text's scores depend on its neighbors: ${change}, between a text alone and in a batch.
  ${isDynamic ? `Better: quantize the model statically (inferq models quantize ${folder}).` : PADDING_ADVICE}
  Or: write {"isolate": true} to ${folder}/inferq.json; every text is then computed alone, which is slower.
`
}
