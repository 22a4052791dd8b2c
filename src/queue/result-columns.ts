// The compact form of a result: columns of numbers in base64 instead of one object a text, an eighth of the size.
// `rows` is the last member in both forms, so that a list reads the members before it without the rows.
import * as z from 'zod'

/** The newest version of results that this process reads: 1 has one object a text, 2 has columns. */
export const RESULT_VERSION = 2

const columns = z.object({
  /** Float32, little-endian: the logits of all rows, one after the other; zeros for a failed row. */
  logits: z.string(),
  /** Uint32, little-endian: tokens of each row. */
  tokens: z.string(),
  /** The different runs: milliseconds in the queue, in the tokenizer and in the session, and texts in the run. */
  runs: z.array(z.tuple([z.number(), z.number(), z.number(), z.number()])),
  /** Uint16, little-endian: the index of each row's run. */
  run: z.string(),
  /** Indexes of truncated rows. */
  truncated: z.array(z.number()),
  /** Index, code and message of failed rows. */
  errors: z.array(z.tuple([z.number(), z.string(), z.string()])),
})

type Columns = z.infer<typeof columns>

/** The rows of queue/job.ts, which imports this file. */
type Row =
  | {
      logits: number[]
      tokens: number
      truncated?: true | undefined
      ms: { queue: number; tokenize: number; infer: number }
      run: number
    }
  | { error: { code: string; message: string } }

/** Bytes of a stored result: an upper bound of what its rows take in Redis. */
export function storedBytes(texts: number, labels: number, version: number): number {
  const [text, label] = version < RESULT_VERSION ? [140, 16] : [20, (4 * 4) / 3]
  return 512 + Math.ceil(texts * (text + label * labels))
}

/** The result in the given version, to be stored and sent as JSON. */
export function encodeResult({ rows, ...head }: { rows: Row[] }, version: number): object {
  if (version < RESULT_VERSION || rows.length === 0) return { ...head, rows }
  const failed = rows.filter((row) => 'error' in row).length
  const encoded = encodeRows(rows)
  return encoded ? { v: RESULT_VERSION, ...head, texts: rows.length, failed, rows: encoded } : { ...head, rows }
}

/** Converts a stored result of any version to the members of version 1, for the schema to check, which refuses columns. */
export function decodeResult(stored: unknown): unknown {
  if (typeof stored !== 'object' || stored === null || !('rows' in stored) || Array.isArray(stored.rows)) return stored
  const parsed = columns.safeParse(stored.rows)
  if (!parsed.success || !('v' in stored) || stored.v !== RESULT_VERSION) return stored
  return { ...stored, rows: decodeRows(parsed.data) ?? stored.rows }
}

/** Undefined when the rows do not fit: different numbers of logits, or too many runs. */
function encodeRows(rows: Row[]): Columns | undefined {
  const labels = rows.reduce((most, row) => ('logits' in row ? Math.max(most, row.logits.length) : most), 0)
  const logits = new DataView(new ArrayBuffer(rows.length * labels * 4))
  const tokens = new DataView(new ArrayBuffer(rows.length * 4))
  const run = new DataView(new ArrayBuffer(rows.length * 2))
  const encoded: Pick<Columns, 'runs' | 'truncated' | 'errors'> = { runs: [], truncated: [], errors: [] }
  const indexes = new Map<string, number>()
  for (const [index, row] of rows.entries()) {
    if ('error' in row) {
      encoded.errors.push([index, row.error.code, row.error.message])
      continue
    }
    if (row.logits.length !== labels) return undefined
    row.logits.forEach((logit, label) => logits.setFloat32((index * labels + label) * 4, logit, true))
    tokens.setUint32(index * 4, row.tokens, true)
    const { queue, tokenize, infer } = row.ms
    const key = `${queue} ${tokenize} ${infer} ${row.run}`
    const known = indexes.get(key) ?? encoded.runs.push([queue, tokenize, infer, row.run]) - 1
    indexes.set(key, known)
    if (known > 0xffff) return undefined
    run.setUint16(index * 2, known, true)
    if (row.truncated) encoded.truncated.push(index)
  }
  return { logits: toBase64(logits), tokens: toBase64(tokens), run: toBase64(run), ...encoded }
}

/** Undefined for columns of damaged lengths. */
function decodeRows({ logits, tokens, run, runs, truncated, errors }: Columns): Row[] | undefined {
  const [ofLogits, ofTokens, ofRun] = [viewOf(logits), viewOf(tokens), viewOf(run)]
  const texts = ofTokens.byteLength / 4
  const labels = texts === 0 ? 0 : ofLogits.byteLength / 4 / texts
  if (!Number.isInteger(texts) || !Number.isInteger(labels) || ofRun.byteLength !== texts * 2) return undefined
  const failed = new Map(errors.map(([index, code, message]) => [index, { code, message }]))
  const cut = new Set(truncated)
  return Array.from({ length: texts }, (_, index): Row => {
    const error = failed.get(index)
    if (error) return { error }
    const [queue = 0, tokenize = 0, infer = 0, size = 0] = runs[ofRun.getUint16(index * 2, true)] ?? []
    const row = {
      // The nine digits that restore a float32, as in version 1, so that both give the same scores.
      logits: Array.from({ length: labels }, (_label, label) =>
        Number(ofLogits.getFloat32((index * labels + label) * 4, true).toPrecision(9)),
      ),
      tokens: ofTokens.getUint32(index * 4, true),
      ms: { queue, tokenize, infer },
      run: size,
    }
    return cut.has(index) ? { ...row, truncated: true } : row
  })
}

function toBase64({ buffer }: DataView<ArrayBuffer>): string {
  return Buffer.from(buffer).toString('base64')
}

function viewOf(base64: string): DataView {
  const { buffer, byteOffset, byteLength } = Buffer.from(base64, 'base64')
  return new DataView(buffer, byteOffset, byteLength)
}
