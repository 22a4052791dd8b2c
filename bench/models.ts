// The measured models: the default one, dominated by inference, and a small one, dominated by overhead.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface BenchModel {
  name: string
  dir: string
  /** Name in the tables. */
  title: string
  /** Minimum share of the limit with 64 texts per request. */
  share: number
}

const pathOf = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

export const cola: BenchModel = { name: 'cola', dir: pathOf('models/cola'), title: 'cola', share: 0.9 }

const sentiment = pathOf('models/sentiment')

/** Without models/sentiment a smaller model (hidden 32) replaces it, with which the budget is harder to meet. */
export const tiny: BenchModel = existsSync(sentiment)
  ? { name: 'sentiment', dir: sentiment, title: 'sentiment', share: 0.65 }
  : {
      name: 'tiny-fp32',
      dir: pathOf('test/fixtures/models/tiny-fp32'),
      title: 'stand-in (hidden 32, not 128)',
      share: 0.65,
    }

export const models = [cola, tiny]
