// `inferq models check`: what a worker would find, before a worker does.
import type { Manifest } from '../../worker/models/manifest.ts'
import { OnnxClassifier } from '../../worker/inference/classifier.ts'
import { measureBatchSensitivity, measureSpeed } from '../../worker/inference/benchmark.ts'
import type { BatchSensitivity, SpeedAt } from '../../worker/inference/ipc.ts'
import { messageOf } from '../../errors.ts'
import { EXIT, CommandError } from '../failure.ts'
import { bytesText, countText } from '../format.ts'
import { print, report, type Terminal } from '../terminal.ts'
import { inspect, listProblems } from './folder.ts'

/** Milliseconds for the measurement of speed: longer than a worker takes, so that the figures are steadier. */
const SPEED_MS = 3_000
/** Below it is the noise of adding floats in another order; dynamic quantisation is at some hundredths. */
const STEADY = 1e-4

/** @returns the exit code: failed when the model cannot be served. Scores that move are no failure, and have a remedy. */
export async function checkModel(folder: string, terminal: Terminal): Promise<number> {
  const { manifest, problems } = await inspect(folder)
  if (!manifest) throw new CommandError(listProblems(folder, problems))
  await print(terminal.stdout, describe(manifest))
  const loaded = await loadForCheck(manifest, folder, terminal)
  const speeds = await measureSpeed(loaded.classifier, SPEED_MS)
  const movement = await measureBatchSensitivity(loaded.classifier)
  await print(terminal.stdout, `${loaded.line}\n${speedTable(speeds)}${scores(movement, manifest, folder)}`)
  return EXIT.ok
}

/** @throws Failure that says what a worker would report. */
export async function loadForCheck(manifest: Manifest, folder: string, terminal: Terminal) {
  if (terminal.stderr.isTTY) report(terminal, `loading ${manifest.file} …`)
  const began = performance.now()
  const { name, dir, file, labels, maxTokens, isolate } = manifest
  const source = { name, dir, file, labels: labels.length, maxTokens, isolate }
  try {
    const classifier = await OnnxClassifier.load(source, 1)
    return { classifier, line: `loaded and warm after ${((performance.now() - began) / 1_000).toFixed(1)} s` }
  } catch (error) {
    throw new CommandError(listProblems(folder, [messageOf(error)]), { cause: error })
  }
}

function describe(manifest: Manifest): string {
  const { name, revision, file, bytes, architecture, problemType, labels, maxTokens } = manifest
  const shown = labels.length > 8 ? [...labels.slice(0, 8), `… ${labels.length} in all`] : labels
  return `${name}@${revision}: ${file}, ${bytesText(bytes)}, ${architecture}
${problemType}, labels ${shown.join(', ')}; at most ${maxTokens} tokens
`
}

function speedTable(speeds: SpeedAt[]): string {
  const rows = speeds.map(({ tokens, textsPerSecond }) => {
    const pace = textsPerSecond < 10 ? textsPerSecond.toFixed(1) : countText(textsPerSecond)
    return `  ${String(tokens).padStart(6)} tokens ${pace.padStart(9)} texts/s\n`
  })
  return `speed of one process with one thread:\n${rows.join('')}`
}

function scores({ largest, share }: BatchSensitivity, { isolate }: Manifest, folder: string): string {
  if (isolate) return `"isolate" is set: every text is computed alone, so its scores cannot depend on its neighbours\n`
  const percent = `${(share * 100).toPrecision(2)} % of their spread`
  const moves = largest === 0 ? 'logits do not move at all' : `logits move by ${largest.toExponential(1)}, ${percent}`
  if (share <= STEADY) return `a text's scores do not depend on its neighbours: ${moves}\n`
  return `a text's scores depend on its neighbours: ${moves}, between alone and in company.
  Better: quantise statically (inferq models quantize ${folder}).
  Or: put {"isolate": true} into ${folder}/inferq.json; every text is then computed alone, which is slower.
`
}
