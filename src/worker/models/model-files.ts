// The files of a model's folder, read with messages that name the file and the field. A link that leads out of the
// folder is not followed: whoever made the folder must not choose what else of this machine is read.
import { readFile, readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type * as z from 'zod'
import { messageOf } from '../../errors.ts'

/** A folder that cannot be served; the problems say why, for the person who put it there. */
export class ModelError extends Error {
  override name = 'BadModel'
  readonly problems: string[]

  constructor(problems: string | string[]) {
    const all = [problems].flat()
    super(all.join('; '))
    this.problems = all
  }
}

/** @throws BadModel that names the file, and every field that is wrong. */
export async function readJson<T>(dir: string, file: string, schema: z.ZodType<T>): Promise<T> {
  const json = await readJsonIfThere(dir, file, schema)
  if (json === undefined) throw new ModelError(`${file} is missing`)
  return json
}

/** Undefined when there is no such file. @throws BadModel as readJson does. */
export async function readJsonIfThere<T>(dir: string, file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const found = await findFile(dir, file)
  if (!found) return undefined
  let json: unknown
  try {
    json = JSON.parse(await readFile(found.path, 'utf8'))
  } catch (error) {
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new ModelError(parsed.error.issues.flatMap(describe).map((problem) => `${file}: ${problem}`))
}

/** A text file's content, or an empty text when there is none. */
export async function readTextIfThere(dir: string, file: string): Promise<string> {
  const found = await findFile(dir, file)
  if (!found) return ''
  return readFile(found.path, 'utf8').catch((error: unknown) => {
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`)
  })
}

/**
 * Where a file of the folder really is, and its bytes; undefined when there is none.
 * @throws BadModel when it is a link to a place outside, or no file.
 */
export async function findFile(dir: string, file: string): Promise<{ path: string; bytes: number } | undefined> {
  try {
    const [root, path] = await Promise.all([realpath(dir), realpath(join(dir, file))])
    if (!path.startsWith(root + sep)) {
      throw new ModelError(`${file} leads to a place outside of the folder; put the file itself there`)
    }
    const found = await stat(path)
    // Reading a pipe or a device would never end.
    if (!found.isFile()) throw new ModelError(`${file} is not a file`)
    return { path, bytes: found.size }
  } catch (error) {
    if (error instanceof ModelError) throw error
    if (isMissing(error)) return undefined
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`)
  }
}

/** Names of what is in a folder, sorted; empty when there is no such folder. */
export async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Unknown fields are named one by one, in their places. */
function describe(issue: z.core.$ZodIssue): string[] {
  const at = (path: PropertyKey[]) => path.map(String).join('.') || 'the whole'
  if (issue.code !== 'unrecognized_keys') return [`${at(issue.path)}: ${issue.message}`]
  return issue.keys.map((key) => `${at([...issue.path, key])}: is not known here`)
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}
