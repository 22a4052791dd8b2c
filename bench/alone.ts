// Child process that measures ONNX Runtime without queue and HTTP.
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { pack } from '../src/worker/inference/tensors.ts'
import { type Encoded, TextTokenizer } from '../src/worker/inference/tokenizer/tokenizer.ts'
import type { PadToken } from '../src/worker/inference/tokenizer/tokenizer-config.ts'
import { readManifest } from '../src/worker/models/inspect.ts'
import { answerParent } from './child.ts'
import type { LimitOrder, LimitResult } from './limit.ts'
import { median } from './question.ts'

const TEXTS_A_RUN = 32

answerParent<LimitOrder>(async ({ name, dir, texts, threads, way, warmUpSeconds, seconds }) => {
  const { file, maxTokens } = await readManifest(name, dir)
  const tokenizer = await TextTokenizer.load(dir, maxTokens)
  const session = await InferenceSession.create(join(dir, file), { intraOpNumThreads: threads, interOpNumThreads: 1 })
  const prepare = () => {
    const encoded = texts.map((text) => tokenizer.encode(text, undefined, 'right'))
    const runs = way === 'alone' ? encoded.map((one) => [one]) : inRuns(encoded)
    return runs.map((run) => feedsOf(run, tokenizer.padding, session.inputNames))
  }
  const prepared = prepare()
  await repeat(session, () => prepared, warmUpSeconds)
  return await repeat(session, way === 'from-text' ? prepare : () => prepared, seconds)
})

type Feeds = Record<string, Tensor>

async function repeat(session: InferenceSession, prepare: () => Feeds[], seconds: number): Promise<LimitResult> {
  const began = performance.now()
  const times: number[] = []
  let texts = 0
  while (performance.now() - began < seconds * 1_000) {
    for (const feeds of prepare()) {
      const from = performance.now()
      await session.run(feeds)
      times.push(performance.now() - from)
      texts += feeds['input_ids']?.dims[0] ?? 0
    }
  }
  return { textsPerSecond: (texts * 1_000) / (performance.now() - began), p50: median(times) }
}

function inRuns(encoded: Encoded[]): Encoded[][] {
  const sorted = encoded.toSorted((a, b) => a.ids.length - b.ids.length)
  return Array.from({ length: Math.ceil(sorted.length / TEXTS_A_RUN) }, (_, run) =>
    sorted.slice(run * TEXTS_A_RUN, (run + 1) * TEXTS_A_RUN),
  )
}

function feedsOf(run: Encoded[], padding: PadToken, inputs: readonly string[]): Feeds {
  const { inputIds, attentionMask, tokenTypeIds, dims } = pack(run, padding)
  const all = { input_ids: inputIds, attention_mask: attentionMask, token_type_ids: tokenTypeIds }
  const taken = Object.entries(all).filter(([name]) => inputs.includes(name))
  return Object.fromEntries(taken.map(([name, data]) => [name, new Tensor('int64', data, dims)]))
}
