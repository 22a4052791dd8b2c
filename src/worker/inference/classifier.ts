// Text classifier: tokenizes, splits texts into runs of similar length, and returns logits or an error for each text.
import { messageOf } from '../../errors.ts'
import { ModelError } from '../models/model-files.ts'
import type { Measurable } from './benchmark.ts'
import {
  emptyColumns,
  type ModelSource,
  type RunColumns,
  type RunCost,
  type TextColumns,
  type TextError,
  type WarmUpReport,
} from './ipc.ts'
import { ModelSession } from './session.ts'
import { type Packed, pack, splitIntoRuns } from './tensors.ts'
import { type Encoded, TextTokenizer, TextTooLongError } from './tokenizer/tokenizer.ts'
import { warmUp } from './warm-up.ts'

/** A model that an inference process serves; tests replace it. */
export interface Classifier {
  readonly cost: RunCost
  /** Measurements of the warm-up; absent in tests. */
  readonly report?: WarmUpReport
  /** Never rejects because of a text: the error of a text is in the columns. */
  classify(run: TextColumns): Promise<RunColumns>
}

interface Tokenized extends Encoded {
  /** Index of the text in the run. */
  index: number
}

/** Padded tokens of one session run. */
const MAX_PADDED_TOKENS = 16_384
/** Overhead of a run, in padded tokens, with which texts share as few runs as the limits allow. */
const FEW_RUNS_OVERHEAD = 1e9

export class OnnxClassifier implements Classifier, Measurable {
  readonly maxTokens: number
  readonly #tokenizer: TextTokenizer
  readonly #session: ModelSession
  readonly #source: ModelSource
  #report: WarmUpReport | undefined

  private constructor(tokenizer: TextTokenizer, session: ModelSession, source: ModelSource, maxTokens: number) {
    this.#tokenizer = tokenizer
    this.#session = session
    this.#source = source
    this.maxTokens = maxTokens
  }

  /** Loads, warms and measures a model. @throws ModelError with the file and its problem. */
  static async load(source: ModelSource, intraOpThreads: number): Promise<OnnxClassifier> {
    const session = await ModelSession.load(source, intraOpThreads)
    const maxTokens = Math.min(source.maxTokens, session.fixed.tokens ?? source.maxTokens)
    const tokenizer = await TextTokenizer.load(source.dir, maxTokens)
    const classifier = new OnnxClassifier(tokenizer, session, source, maxTokens)
    try {
      classifier.#report = await warmUp(classifier)
    } catch (error) {
      throw error instanceof ModelError
        ? error
        : new ModelError(`${source.file} fails when it is run: ${messageOf(error)}`)
    }
    return classifier
  }

  /** Measurements of the warm-up. @throws Error before it has ended. */
  get report(): WarmUpReport {
    if (!this.#report) throw new Error('the model is not warm yet')
    return this.#report
  }

  get cost(): RunCost {
    return this.report.cost
  }

  async runShape(texts: number, tokens: number): Promise<void> {
    // Token 0 is in every vocabulary, and the time does not depend on the token.
    const blank = { ids: new Array<number>(tokens).fill(0), types: undefined, truncated: false }
    for (const run of this.#runsOf(new Array<Encoded>(texts).fill(blank), FEW_RUNS_OVERHEAD)) {
      await this.#session.run(this.#pack(run))
    }
  }

  async batchLogits(texts: string[]): Promise<number[][]> {
    const { labels } = this.#source
    const rows: number[][] = []
    const encoded = texts.map((text, index) => ({ ...this.#tokenizer.encode(text, undefined, 'right'), index }))
    for (const run of this.#runsOf(encoded, FEW_RUNS_OVERHEAD)) {
      const logits = await this.#session.run(this.#pack(run))
      run.forEach(({ index }, row) => (rows[index] = [...logits.subarray(row * labels, (row + 1) * labels)]))
    }
    return rows
  }

  async classify(run: TextColumns): Promise<RunColumns> {
    const startedAt = performance.now()
    const columns = emptyColumns(run.texts.length, this.#source.labels)
    const tokenized = this.#tokenize(run, columns)
    columns.tokenizeMs = performance.now() - startedAt
    for (const texts of this.#runsOf(tokenized, this.cost.overheadMs / this.cost.tokenMs)) {
      await this.#compute(texts, columns)
    }
    return columns
  }

  #tokenize({ texts, pairs, truncate }: TextColumns, columns: RunColumns): Tokenized[] {
    return texts.flatMap((text, index) => {
      try {
        const encoded = this.#tokenizer.encode(text, pairs?.[index], truncate[index] ?? 'right')
        columns.tokens[index] = encoded.ids.length
        columns.truncated[index] = encoded.truncated ? 1 : 0
        if (encoded.ids.length === 0) throw new NoTokensError()
        return [{ ...encoded, index }]
      } catch (error) {
        columns.errors.push([index, tokenizerError(error)])
        return []
      }
    })
  }

  /** Splits texts into session runs that the model allows. @param overhead of a run, in padded tokens. */
  #runsOf<T extends Encoded>(texts: T[], overhead: number): T[][] {
    const { fixed, masksPadding } = this.#session
    const sorted = texts.toSorted((a, b) => a.ids.length - b.ids.length)
    const lengths = sorted.map(({ ids }) => fixed.tokens ?? ids.length)
    const maxTexts = this.#source.isolate ? 1 : (fixed.texts ?? texts.length)
    const ends = splitIntoRuns(lengths, {
      overhead,
      maxTokens: MAX_PADDED_TOKENS,
      maxTexts,
      sameLengthOnly: !masksPadding || this.#tokenizer.padding.id === undefined,
    })
    return ends.map((end, run) => sorted.slice(ends[run - 1] ?? 0, end))
  }

  #pack(texts: Encoded[]): Packed {
    return pack(texts, { ...this.#session.fixed, ...this.#tokenizer.padding })
  }

  /** Bisects a run that throws, until only the text that makes it throw gets an error. */
  async #compute(texts: Tokenized[], columns: RunColumns): Promise<void> {
    const startedAt = performance.now()
    try {
      const packed = this.#pack(texts)
      const logits = await this.#session.run(packed)
      const ms = performance.now() - startedAt
      columns.paddedTokens += packed.inputIds.length
      const { labels } = this.#source
      texts.forEach(({ index }, row) => {
        columns.logits.set(logits.subarray(row * labels, (row + 1) * labels), index * labels)
        columns.batchSize[index] = texts.length
        columns.inferMs[index] = ms
      })
    } catch (error) {
      columns.errorMessage ??= messageOf(error).slice(0, 300)
      const [only] = texts
      if (texts.length === 1 && only) {
        columns.errors.push([only.index, { code: 'Backend', message: 'the model failed on this text' }])
        return
      }
      columns.bisections += 1
      const half = Math.ceil(texts.length / 2)
      await this.#compute(texts.slice(0, half), columns)
      await this.#compute(texts.slice(half), columns)
    }
  }
}

/** A tokenizer without special tokens may find nothing in a text, such as one of control characters. */
class NoTokensError extends Error {
  override name = 'NoTokensError'

  constructor() {
    super('the text has no tokens for this model')
  }
}

function tokenizerError(error: unknown): TextError {
  if (error instanceof TextTooLongError || error instanceof NoTokensError)
    return { code: 'Validation', message: error.message }
  // The library's message may contain the text.
  return { code: 'Tokenizer', message: 'the text could not be split into tokens' }
}
