// Logits equal those of Python's onnxruntime for every kind of ONNX classifier, alone and in a batch; a file that is
// not a classifier is refused at load.
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { measureBatchSensitivity, measureSpeed } from '../../../../src/worker/inference/benchmark.ts'
import { OnnxClassifier } from '../../../../src/worker/inference/classifier.ts'
import type { ModelSource } from '../../../../src/worker/inference/ipc.ts'

interface Reference {
  limit: number
  labels: string[]
  cases: Array<{ text: string; ids: number[]; logits: number[] }>
}

const root = join(process.cwd(), 'test/fixtures/kinds')

/** Largest difference to Python's logits: small for float32, a quantization step for 8 and 16 bits. */
const kinds = {
  positions: 1e-4,
  'ids-alone': 1e-4,
  'several-outputs': 1e-4,
  int32: 1e-4,
  'one-text': 1e-4,
  'four-texts': 1e-4,
  half: 2e-2,
  'int8-dynamic': 5e-2,
  'int8-static': 5e-2,
  roberta: 1e-4,
  gpt2: 1e-4,
}

function sourceOf(kind: string, more: Partial<ModelSource> = {}): ModelSource {
  const file = kind.startsWith('int8') ? 'onnx/model_quantized.onnx' : 'onnx/model.onnx'
  return { name: kind, dir: join(root, kind), file, labels: 3, maxTokens: 64, ...more }
}

const referenceOf = (kind: string) => JSON.parse(readFileSync(join(root, kind, 'python.json'), 'utf8')) as Reference

async function logitsOf(classifier: OnnxClassifier, texts: string[]) {
  const { logits, tokens, batchSize, errors } = await classifier.classify({ texts, truncate: texts.map(() => 'right') })
  expect(errors).toEqual([])
  return { rows: texts.map((_text, row) => [...logits.subarray(3 * row, 3 * row + 3)]), tokens, batchSize }
}

/** The largest difference of two numbers with the same index. */
function distance(actual: number[][], expected: number[][]): number {
  const [a, b] = [actual.flat(), expected.flat()]
  expect(a).toHaveLength(b.length)
  return Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN))))
}

describe.each(Object.entries(kinds))('%s', (kind, tolerance) => {
  const { cases } = referenceOf(kind)
  const texts = cases.map(({ text }) => text)
  const expected = cases.map(({ logits }) => logits)
  let classifier: OnnxClassifier
  let alone: number[][]
  beforeAll(async () => {
    classifier = await OnnxClassifier.load(sourceOf(kind), 1)
    alone = []
    for (const text of texts) alone.push(...(await logitsOf(classifier, [text])).rows)
  })

  it('returns the logits of Python', async () => {
    const { tokens } = await logitsOf(classifier, texts)
    expect([...tokens]).toEqual(cases.map(({ ids }) => ids.length))
    expect(distance(alone, expected)).toBeLessThan(tolerance)
  })

  it('depends on the rest of the batch only if the warm-up measured so', async () => {
    const { rows } = await logitsOf(classifier, texts)
    const isSensitive = kind === 'int8-dynamic'
    expect(distance(rows, alone) > 0).toBe(isSensitive)
    expect(classifier.report.movement.share > 0).toBe(isSensitive)
    const measured = await measureBatchSensitivity(classifier, texts.slice(0, 40))
    expect(measured.share > 0).toBe(isSensitive)
    expect(measured.spread).toBeGreaterThan(1)
  })

  it('reports its speed at every length', async () => {
    const speeds = await measureSpeed(classifier, 60_000)
    expect(speeds.map(({ tokens }) => tokens)).toEqual([8, 32, 64])
    for (const { textsPerSecond } of speeds) expect(textsPerSecond).toBeGreaterThan(0)
    expect(classifier.report).toMatchObject({ maxTokens: 64, cost: { tokenMs: expect.any(Number) } })
  })
})

describe('a model', () => {
  it('with `isolate` computes each text alone', async () => {
    const { cases } = referenceOf('int8-dynamic')
    const texts = cases.map(({ text }) => text)
    const classifier = await OnnxClassifier.load(sourceOf('int8-dynamic', { isolate: true }), 1)
    const { rows, batchSize } = await logitsOf(classifier, texts)
    expect(
      distance(
        rows,
        cases.map(({ logits }) => logits),
      ),
    ).toBeLessThan(kinds['int8-dynamic'])
    expect(new Set(batchSize)).toEqual(new Set([1]))
    expect(classifier.report.movement).toMatchObject({ largest: 0, share: 0 })
  })

  it('of a fixed size gets runs of that size', async () => {
    const texts = ['One.', 'Two of them.', 'Three of them, or so.', 'Four.', 'Five.']
    const one = await OnnxClassifier.load(sourceOf('one-text'), 1)
    expect([...(await logitsOf(one, texts)).batchSize]).toEqual([1, 1, 1, 1, 1])
    const four = await OnnxClassifier.load(sourceOf('four-texts'), 1)
    expect(Math.max(...(await logitsOf(four, texts)).batchSize)).toBe(4)
  })

  it('of a fixed length takes no more tokens than that', async () => {
    const classifier = await OnnxClassifier.load(sourceOf('one-text', { maxTokens: 512 }), 1)
    expect(classifier.report.maxTokens).toBe(64)
    expect([...(await logitsOf(classifier, ['word '.repeat(200)])).tokens]).toEqual([64])
  })

  it('without a mask shares runs only among texts of the same length', async () => {
    const classifier = await OnnxClassifier.load(sourceOf('ids-alone'), 1)
    const { tokens, batchSize } = await logitsOf(classifier, ['a b c', 'a b d', 'a b c d e f', 'b c d'])
    expect([...tokens]).toEqual([5, 5, 8, 5])
    expect([...batchSize]).toEqual([3, 3, 1, 3])
  })
})

describe('refused with the file and its problem:', () => {
  it.each([
    ['two-labels', /^onnx\/model\.onnx: gives 2 logits a text; config\.json names 3 labels \(id2label\)$/],
    ['as-many-as-tokens', /^onnx\/model\.onnx: gives logits \[1, 16\] for a run of 1; config\.json names 3 labels/],
    ['strange-input', /^onnx\/model\.onnx: its input "pixel_values" is not supported; supported: input_ids, .*$/],
    ['boolean-mask', /^onnx\/model\.onnx: its input "attention_mask" is bool; supported: int64, int32, float32$/],
    ['no-ids', /^onnx\/model\.onnx: its input "pixel_values"/],
    ['no-logits', /^onnx\/model\.onnx: has no output "logits"; is it a classifier\? Its outputs: "numbers"$/],
    [
      'logits-of-tokens',
      /^onnx\/model\.onnx: its logits have 3 dimensions, not 2 \(texts, labels\); is it a classifier\?$/,
    ],
    ['one-dimension', /^onnx\/model\.onnx: its input "input_ids" has 1 dimensions, not 2 \(texts, tokens\)$/],
    ['no-onnx', /^onnx\/model\.onnx cannot be loaded: /],
    ['few-tokens', /^onnx\/model\.onnx fails when it is run: .*indices/],
  ])('%s', async (graph, message) => {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-kinds-'))
    try {
      cpSync(join(root, 'int32'), dir, { recursive: true })
      cpSync(join(root, 'refused', `${graph}.onnx`), join(dir, 'onnx/model.onnx'))
      await expect(OnnxClassifier.load(sourceOf('int32', { dir }), 1)).rejects.toThrow(message)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('a model that takes fewer tokens than its config.json says', async () => {
    await expect(OnnxClassifier.load(sourceOf('positions', { maxTokens: 65 }), 1)).rejects.toThrow(
      /^onnx\/model\.onnx fails when it is run: /,
    )
  })
})
