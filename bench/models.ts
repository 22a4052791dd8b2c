// The measured models: the default one, dominated by inference, and the smallest, dominated by overhead.
import { fileURLToPath } from 'node:url'

export interface BenchModel {
  /** Folder in models/, and name in the tables. */
  name: string
  dir: string
  /** Minimum share of the limit with 64 texts per request. */
  share: number
  /** Minimum share of the limit in a batch. */
  batchShare: number
}

const shipped = (name: string, share: number, batchShare: number): BenchModel => ({
  name,
  dir: fileURLToPath(new URL(`../models/${name}`, import.meta.url)),
  share,
  batchShare,
})

export const cola = shipped('cola', 0.9, 0.9)
export const sentiment = shipped('sentiment', 0.9, 0.9)
/** The overhead of everything except inference is measured with this one. */
export const sentimentSmall = shipped('sentiment-small', 0.65, 0.6)

/** The models of the speed questions. */
export const models = [cola, sentimentSmall]
