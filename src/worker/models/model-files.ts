// Reads the files of a model's folder, with errors that name the file and the field. A link to a place outside the
// folder is not followed, because the author of a model must not choose which other files of this machine are read;
// except for those of the Hugging Face cache, which lead to the same repository's blobs.
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import type * as z from 'zod'
import { messageOf } from '../../errors.ts'

/** A folder that cannot be served, with its problems. */
export class ModelError extends Error {
  override name = 'ModelError'
  readonly problems: string[]

  constructor(problems: string | string[]) {
    const all = [problems].flat()
    super(all.join('; '))
    this.problems = all
  }
}

/** @throws ModelError with the file and every invalid field. */
export async function readJson<T>(dir: string, file: string, schema: z.ZodType<T>): Promise<T> {
  const json = await readOptionalJson(dir, file, schema)
  if (json === undefined) throw new ModelError(`${file} is missing`)
  return json
}

/** Undefined when the file does not exist. @throws ModelError as readJson does. */
export async function readOptionalJson<T>(dir: string, file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const found = await findFile(dir, file)
  if (!found) return undefined
  let json: unknown
  try {
    json = JSON.parse(await readFile(found.path, 'utf8'))
  } catch (error) {
    throw new ModelError(`${file} cannot be read: ${(error as Error).message}`)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new ModelError(parsed.error.issues.flatMap(describe).map((problem) => `${file}: ${problem}`))
}

/** Content of a text file; empty when it does not exist. @throws ModelError when it cannot be read. */
export async function readOptionalText(dir: string, file: string): Promise<string> {
  const found = await findFile(dir, file)
  if (!found) return ''
  return readFile(found.path, 'utf8').catch((error: unknown) => {
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`)
  })
}

/**
 * The real path of a file of the folder, its size, and when it was changed; undefined when it does not exist.
 * @throws ModelError when it is a link to a place outside the folder, or not a file.
 */
export async function findFile(
  dir: string,
  file: string,
): Promise<{ path: string; bytes: number; modifiedAt: number } | undefined> {
  try {
    const [root, path] = await Promise.all([realpath(dir), realpath(join(dir, file))])
    if (!path.startsWith(root + sep) && !isBlobOf(root, path)) {
      throw new ModelError(`${file} links to a place outside the folder; put the file itself there`)
    }
    const found = await stat(path)
    // A read of a pipe or a device may never end.
    if (!found.isFile()) throw new ModelError(`${file} is not a file`)
    if (found.size < MAX_POINTER_BYTES && LFS_POINTER.test(await readFile(path, 'utf8'))) {
      throw new ModelError(`${file} is a Git LFS pointer, not the file itself; run "git lfs pull" in its repository`)
    }
    return { path, bytes: found.size, modifiedAt: Math.floor(found.mtimeMs) }
  } catch (error) {
    if (error instanceof ModelError) throw error
    if (isMissing(error)) return undefined
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`)
  }
}

/** https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: a pointer has less than 1,024 bytes. */
const LFS_POINTER = /^version https:\/\/(?:git-lfs\.github\.com|hawser\.github\.com)\//
const MAX_POINTER_BYTES = 1_024

/** Whether a path is a blob of the repository whose snapshot `root` is, in the layout of the Hugging Face cache. */
function isBlobOf(root: string, path: string): boolean {
  const repository = snapshotRepository(root)
  return repository !== undefined && dirname(path) === join(repository, 'blobs')
}

/** `…/models--OWNER--NAME` of `…/models--OWNER--NAME/snapshots/COMMIT`; undefined for other folders. */
function snapshotRepository(root: string): string | undefined {
  const repository = dirname(dirname(root))
  const isSnapshot = basename(dirname(root)) === 'snapshots' && basename(repository).startsWith('models--')
  return isSnapshot ? repository : undefined
}

/** Name of the model whose snapshot in the Hugging Face cache a folder is, in lower case; undefined for other folders. */
export async function snapshotModel(dir: string): Promise<string | undefined> {
  const repository = snapshotRepository(await realpath(dir))
  return repository && basename(repository).split('--').at(-1)?.toLowerCase()
}

/** Sorted names of the entries of a folder; empty when it does not exist. */
export async function listNames(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** One problem per unknown field, with its path. */
function describe(issue: z.core.$ZodIssue): string[] {
  const at = (path: PropertyKey[]) => path.map(String).join('.') || 'top level'
  if (issue.code !== 'unrecognized_keys') return [`${at(issue.path)}: ${issue.message}`]
  return issue.keys.map((key) => `${at([...issue.path, key])}: is an unknown field`)
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}
