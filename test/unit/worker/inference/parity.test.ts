// Ids and scores equal those of Python's libraries, alone and in batches.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { defaultFunction, scoresOf } from '../../../../src/predict/scores.ts'
import { OnnxClassifier } from '../../../../src/worker/inference/classifier.ts'
import type { TextColumns } from '../../../../src/worker/inference/ipc.ts'
import { TextTokenizer } from '../../../../src/worker/inference/tokenizer/tokenizer.ts'
import { readManifest } from '../../../../src/worker/models/inspect.ts'
import { type Manifest } from '../../../../src/worker/models/manifest.ts'

interface Reference {
  made_with: { instructions?: string }
  limit: number
  labels: string[]
  cases: Array<{ text: string; pair?: string; ids: number[]; types?: number[]; logits: number[]; scores: number[] }>
  truncation: Array<{ side: 'left' | 'right'; max_length: number; text: string; pair?: string; ids: number[] }>
}

/** Milliseconds; some texts have 512 tokens, and the machine may be busy. */
const MODEL_TIMEOUT = 120_000
/** fp32 sums of different kernels agree to about 1e-6. */
const FP32: Tolerance = { worst: 1e-5, average: 1e-5 }
const parityDir = 'test/fixtures/parity'
const names = readdirSync(parityDir).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -5)] : []))

/** The shipped models are in `models`, the tiny ones in the fixtures. */
function folderOf(name: string): string {
  return [join('models', name), join('test/fixtures/models', name)].find((dir) => existsSync(dir)) ?? name
}

const columnsOf = (cases: Reference['cases']): TextColumns => ({
  texts: cases.map(({ text }) => text),
  pairs: cases.map(({ pair }) => pair),
  truncate: cases.map(() => 'right'),
})

it('has references of at least 500 texts for one model', () => {
  expect(Math.max(...names.map((name) => read(name).cases.length))).toBeGreaterThanOrEqual(500)
})

function read(name: string): Reference {
  return JSON.parse(readFileSync(join(parityDir, `${name}.json`), 'utf8')) as Reference
}

describe.each(names)('%s', (name) => {
  const reference = read(name)
  let manifest: Manifest
  let classifier: OnnxClassifier

  /** Logits of every case, each computed alone. */
  let alone: number[][]

  beforeAll(async () => {
    manifest = await readManifest(name, join(process.cwd(), folderOf(name)))
    classifier = await OnnxClassifier.load({ ...manifest, labels: manifest.labels.length }, 1)
    alone = await logitsInRunsOf(1)
  }, MODEL_TIMEOUT)

  /** Logits of all cases, computed in runs of `size`. */
  async function logitsInRunsOf(size: number): Promise<number[][]> {
    const rows: number[][] = []
    for (let start = 0; start < reference.cases.length; start += size) {
      const cases = reference.cases.slice(start, start + size)
      const { logits, errors } = await classifier.classify(columnsOf(cases))
      expect(errors).toEqual([])
      const labels = logits.length / cases.length
      cases.forEach((_case, row) => rows.push([...logits.subarray(row * labels, (row + 1) * labels)]))
    }
    return rows
  }

  it('has the limit and the labels of the reference', () => {
    expect(manifest.maxTokens).toBe(reference.limit)
    expect(manifest.labels).toEqual(reference.labels)
  })

  it('returns the same ids and token types', async () => {
    const tokenizer = await TextTokenizer.load(manifest.dir, manifest.maxTokens)
    for (const { text, pair, ids, types } of reference.cases) {
      const encoded = tokenizer.encode(text, pair, 'right')
      expect(encoded.ids, JSON.stringify(text).slice(0, 80)).toEqual(ids)
      if (types) expect(encoded.types ?? encoded.ids.map(() => 0)).toEqual(types)
    }
  })

  it('truncates where Python truncates', async () => {
    for (const length of new Set(reference.truncation.map(({ max_length }) => max_length))) {
      const tokenizer = await TextTokenizer.load(manifest.dir, length)
      for (const { side, text, pair, ids } of reference.truncation.filter(({ max_length }) => max_length === length)) {
        expect(tokenizer.encode(text, pair, side).ids, `${side}, ${length}`).toEqual(ids)
      }
    }
  })

  it('returns the same scores', async () => {
    const fn = defaultFunction(manifest.problemType)
    const tolerance = manifest.file.includes('quantized') ? quantizedTolerance(reference) : FP32
    let worst = 0
    let sum = 0
    reference.cases.forEach(({ scores }, index) => {
      const actual = scoresOf(alone[index] ?? [], fn)
      expect(actual).toHaveLength(scores.length)
      // A regression's score can be of any size, so large scores are compared relatively.
      actual.forEach((score, label) => {
        const expected = scores[label] ?? Number.NaN
        const difference = Math.abs(score - expected) / Math.max(1, Math.abs(expected))
        worst = Math.max(worst, difference)
        sum += difference / scores.length
      })
    })
    expect(worst).toBeLessThanOrEqual(tolerance.worst)
    expect(sum / reference.cases.length).toBeLessThanOrEqual(tolerance.average)
  })

  it.each([32, 257])(
    'returns exactly the same logits alone and in runs of %i',
    async (size) => {
      expect(await logitsInRunsOf(size)).toEqual(alone)
    },
    MODEL_TIMEOUT,
  )
})

interface Tolerance {
  worst: number
  average: number
}

/**
 * On the kind of processor of the reference, the kernels are the same. On others the 8-bit products are the same too
 * (docs/decisions/0004), but the last digits of fp32 sums differ, and a value near the border of two of the 256 steps is
 * rounded to the other one. In `check_saturation.py` this changed the score of a single text by at most 0.2, and by
 * 0.0025 on average; products that saturate change scores by 0.018 on average.
 */
function quantizedTolerance({ made_with }: Reference): Tolerance {
  return made_with.instructions === instructions() ? { worst: 1e-4, average: 1e-4 } : { worst: 0.3, average: 0.005 }
}

/** The kernels for 8-bit products that ONNX Runtime uses on this processor, by the names in make_parity.py. */
function instructions(): string {
  if (process.arch !== 'x64' || !existsSync('/proc/cpuinfo')) return process.arch
  const flags = /^flags.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0].split(/\s+/) ?? []
  if (flags.some((flag) => flag.endsWith('_vnni'))) return 'vnni'
  if (flags.includes('avx512bw')) return 'avx512'
  return flags.includes('avx2') ? 'avx2' : 'sse'
}
