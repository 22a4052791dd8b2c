// Digests of a model's files: its revision, and the SHA-256 of each file.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { findFile, ModelError } from './model-files.ts'

export interface Digests {
  /** First 12 digits of the SHA-256 over names, sizes and contents of the files, in the given order. */
  revision: string
  /** SHA-256 of each file, hexadecimal. */
  sha256: Map<string, string>
}

/** Hexadecimal digits; 48 bits are enough to distinguish the revisions of one installation. */
const REVISION_DIGITS = 12

/** Reads every file once. @throws ModelError when one is missing. */
export async function digestsOf(dir: string, files: string[]): Promise<Digests> {
  const all = createHash('sha256')
  const sha256 = new Map<string, string>()
  for (const file of files) {
    const found = await findFile(dir, file)
    if (!found) throw new ModelError(`${file} is missing`)
    const single = createHash('sha256')
    all.update(`${file}\0${found.bytes}\0`)
    for await (const chunk of createReadStream(found.path, { highWaterMark: 1 << 20 })) {
      all.update(chunk as Buffer)
      single.update(chunk as Buffer)
    }
    sha256.set(file, single.digest('hex'))
  }
  return { revision: all.digest('hex').slice(0, REVISION_DIGITS), sha256 }
}

/**
 * Compares the digests of the served files with the expected ones.
 * @returns one problem for each file that is not listed, not served or different.
 */
export function digestProblems(found: Map<string, string>, expected: Record<string, string>): string[] {
  const unlisted = [...found.keys()].filter((file) => !(file in expected))
  const problems = unlisted.map((file) => `sha256: has no entry for ${file}, which is served`)
  for (const [file, sha256] of Object.entries(expected)) {
    const actual = found.get(file)
    if (actual === undefined) problems.push(`sha256: ${file} is not a served file`)
    else if (actual !== sha256.toLowerCase()) problems.push(`sha256: ${file} has another digest: ${actual}`)
  }
  return problems
}
