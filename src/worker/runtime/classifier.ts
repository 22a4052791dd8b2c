// A model as texts see it: tokenise, cut into even runs, compute, and for each text its logits or its own error.
import { messageOf } from '../../errors.ts'
import {
  emptyColumns,
  type ModelSource,
  type Pace,
  type RunColumns,
  type TextColumns,
  type TextError,
} from './protocol.ts'
import { ModelSession } from './session.ts'
import { cutEvenly, pack } from './tensors.ts'
import { type Encoded, TextTokenizer, TextTooLong } from './tokenizer.ts'
import { warmUp } from './warm-up.ts'

/** What an inference process serves; tests put a stand-in in its place. */
export interface Classifier {
  readonly pace: Pace
  /** Never rejects for a text's sake: that text has its error in its place. */
  classify(run: TextColumns): Promise<RunColumns>
}

interface Tokenised extends Encoded {
  /** Its place in the run. */
  index: number
}

/** What one padded run of the session may have; a message's texts are cut by what they cost together first. */
const MAX_PADDED_TOKENS = 16_384

export class OnnxClassifier implements Classifier {
  readonly pace: Pace
  readonly #tokenizer: TextTokenizer
  readonly #session: ModelSession
  readonly #labels: number

  private constructor(tokenizer: TextTokenizer, session: ModelSession, labels: number, pace: Pace) {
    this.#tokenizer = tokenizer
    this.#session = session
    this.#labels = labels
    this.pace = pace
  }

  /** Loads and warms a model. @throws BadModel, or what the model throws at its first run. */
  static async load(source: ModelSource, intraOpThreads: number): Promise<OnnxClassifier> {
    const tokenizer = await TextTokenizer.load(source.dir, source.maxTokens)
    const session = await ModelSession.load(source, intraOpThreads)
    const pace = await warmUp((packed) => session.run(packed), source.maxTokens)
    return new OnnxClassifier(tokenizer, session, source.labels, pace)
  }

  async classify(run: TextColumns): Promise<RunColumns> {
    const began = performance.now()
    const columns = emptyColumns(run.texts.length, this.#labels)
    const tokenised = this.#tokenise(run, columns)
    columns.tokenizeMs = performance.now() - began
    tokenised.sort((a, b) => a.ids.length - b.ids.length)
    const lengths = tokenised.map(({ ids }) => ids.length)
    let start = 0
    for (const end of cutEvenly(lengths, this.pace.overheadMs / this.pace.tokenMs, MAX_PADDED_TOKENS)) {
      await this.#compute(tokenised.slice(start, end), columns)
      start = end
    }
    return columns
  }

  #tokenise({ texts, pairs, truncate }: TextColumns, columns: RunColumns): Tokenised[] {
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

  /** A run that throws is halved until the text that makes it throw is alone with its error. */
  async #compute(texts: Tokenised[], columns: RunColumns): Promise<void> {
    const began = performance.now()
    try {
      const logits = await this.#session.run(pack(texts, this.#tokenizer.padId))
      const ms = performance.now() - began
      texts.forEach(({ index }, row) => {
        columns.logits.set(logits.subarray(row * this.#labels, (row + 1) * this.#labels), index * this.#labels)
        columns.together[index] = texts.length
        columns.inferMs[index] = ms
      })
    } catch (error) {
      columns.complaint ??= messageOf(error).slice(0, 300)
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
  if (error instanceof TextTooLong) return { code: 'Validation', message: error.message }
  // The library's own message may quote the text.
  return { code: 'Tokenizer', message: 'the text could not be split into tokens' }
}
