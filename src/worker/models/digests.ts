// What the files of a model are, in short: the revision that labels its answers, and each file's SHA-256.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { ModelError, findFile } from './model-files.ts'

export interface Digests {
  /** The shortened SHA-256 over names, sizes and contents of the files, in the order given. */
  revision: string
  /** SHA-256 of each file, hexadecimal. */
  sha256: Map<string, string>
}

/** Hexadecimal digits of a revision: 48 bits tell apart all the revisions that one installation will ever see. */
const REVISION_DIGITS = 12

/** Reads every file once. @throws BadModel when one is not there. */
export async function digestsOf(dir: string, files: string[]): Promise<Digests> {
  const all = createHash('sha256')
  const sha256 = new Map<string, string>()
  for (const file of files) {
    const found = await findFile(dir, file)
    if (!found) throw new ModelError(`${file} is missing`)
    const one = createHash('sha256')
    all.update(`${file}\0${found.bytes}\0`)
    for await (const part of createReadStream(found.path, { highWaterMark: 1 << 20 })) {
      all.update(part as Buffer)
      one.update(part as Buffer)
    }
    sha256.set(file, one.digest('hex'))
  }
  return { revision: all.digest('hex').slice(0, REVISION_DIGITS), sha256 }
}

/**
 * Whether the files are those that somebody expects: each one listed, each one as listed.
 * @returns one problem a file that is not.
 */
export function digestProblems(found: Map<string, string>, expected: Record<string, string>): string[] {
  const unlisted = [...found.keys()].filter((file) => !(file in expected))
  const problems = unlisted.map((file) => `sha256: says nothing of ${file}, which is served`)
  for (const [file, sha256] of Object.entries(expected)) {
    const actual = found.get(file)
    if (actual === undefined) problems.push(`sha256: ${file} is not among the files that are served`)
    else if (actual !== sha256.toLowerCase()) problems.push(`sha256: ${file} has another one: ${actual}`)
  }
  return problems
}
