// A model as texts see it: tokenise, cut into even runs, compute, and for each text its logits or its own error.
import { messageOf } from '../../errors.ts'
import { ModelError } from '../models/model-files.ts'
import type { Measurable } from './benchmark.ts'
import {
  emptyColumns,
  type ModelSource,
  type RunCost,
  type RunColumns,
  type TextColumns,
  type TextError,
  type WarmUpReport,
} from './ipc.ts'
import { ModelSession } from './session.ts'
import { splitIntoRuns, type Packed, pack } from './tensors.ts'
import { type Encoded, TextTokenizer, TextTooLongError } from './tokenizer/tokenizer.ts'
import { warmUp } from './warm-up.ts'

/** What an inference process serves; tests put a stand-in in its place. */
export interface Classifier {
  readonly cost: RunCost
  /** What else was measured; a stand-in has nothing to tell. */
  readonly report?: WarmUpReport
  /** Never rejects for a text's sake: that text has its error in its place. */
  classify(run: TextColumns): Promise<RunColumns>
}

interface Tokenized extends Encoded {
  /** Its place in the run. */
  index: number
}

/** What one padded run of the session may have; a message's texts are cut by what they cost together first. */
const MAX_PADDED_TOKENS = 16_384
/** More than any padding costs: as few runs as can be. */
const FEWEST_RUNS = 1e9

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

  /** Loads, warms and measures a model. @throws BadModel that names the file and what is wrong with it. */
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

  /** What was measured when it was loaded. */
  get report(): WarmUpReport {
    if (!this.#report) throw new Error('the model is not warm yet')
    return this.#report
  }

  get cost(): RunCost {
    return this.report.cost
  }

  async runShape(texts: number, tokens: number): Promise<void> {
    // Token 0 is in every vocabulary; what it means makes no difference to the time.
    const blank = { ids: new Array<number>(tokens).fill(0), secondFrom: tokens, truncated: false }
    for (const run of this.#runsOf(new Array<Encoded>(texts).fill(blank), FEWEST_RUNS)) {
      await this.#session.run(this.#pack(run))
    }
  }

  async batchLogits(texts: string[]): Promise<number[][]> {
    const { labels } = this.#source
    const rows: number[][] = []
    const encoded = texts.map((text, index) => ({ ...this.#tokenizer.encode(text, undefined, 'right'), index }))
    for (const run of this.#runsOf(encoded, FEWEST_RUNS)) {
      const logits = await this.#session.run(this.#pack(run))
      run.forEach(({ index }, row) => (rows[index] = [...logits.subarray(row * labels, (row + 1) * labels)]))
    }
    return rows
  }

  async classify(run: TextColumns): Promise<RunColumns> {
    const began = performance.now()
    const columns = emptyColumns(run.texts.length, this.#source.labels)
    const tokenised = this.#tokenize(run, columns)
    columns.tokenizeMs = performance.now() - began
    for (const texts of this.#runsOf(tokenised, this.cost.overheadMs / this.cost.tokenMs)) {
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
        return [{ ...encoded, index }]
      } catch (error) {
        columns.errors.push([index, tokenizerError(error)])
        return []
      }
    })
  }

  /** Cuts texts into runs of the session, by what the model allows. @param overhead of a run, in padded tokens. */
  #runsOf<T extends Encoded>(texts: T[], overhead: number): T[][] {
    const { fixed, masksPadding } = this.#session
    const sorted = texts.toSorted((a, b) => a.ids.length - b.ids.length)
    const lengths = sorted.map(({ ids }) => fixed.tokens ?? ids.length)
    const maxTexts = this.#source.isolate ? 1 : (fixed.texts ?? texts.length)
    const ends = splitIntoRuns(lengths, { overhead, maxTokens: MAX_PADDED_TOKENS, maxTexts, even: !masksPadding })
    return ends.map((end, run) => sorted.slice(ends[run - 1] ?? 0, end))
  }

  #pack(texts: Encoded[]): Packed {
    return pack(texts, { ...this.#session.fixed, id: this.#tokenizer.padId, side: this.#tokenizer.padSide })
  }

  /** A run that throws is halved until the text that makes it throw is alone with its error. */
  async #compute(texts: Tokenized[], columns: RunColumns): Promise<void> {
    const began = performance.now()
    try {
      const logits = await this.#session.run(this.#pack(texts))
      const ms = performance.now() - began
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

function tokenizerError(error: unknown): TextError {
  if (error instanceof TextTooLongError) return { code: 'Validation', message: error.message }
  // The library's own message may quote the text.
  return { code: 'Tokenizer', message: 'the text could not be split into tokens' }
}
