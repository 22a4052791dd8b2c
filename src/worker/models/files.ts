// The files of a model's folder, read with messages that name the file and the field.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { messageOf } from '../../errors.ts'

/** A folder that cannot be served; the message says why, for the person who put it there. */
export class BadModel extends Error {
  override name = 'BadModel'
}

/** @throws BadModel that names the file, and the field when one is wrong. */
export async function readJson<T>(dir: string, file: string, schema: z.ZodType<T>): Promise<T> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(join(dir, file), 'utf8'))
  } catch (error) {
    throw new BadModel(isMissing(error) ? `${file} is missing` : `${file} cannot be read: ${messageOf(error)}`)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new BadModel(`${file}: ${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'is wrong'}`)
}

/** A text file's content, or an empty text when there is none. */
export async function readTextIfThere(dir: string, file: string): Promise<string> {
  try {
    return await readFile(join(dir, file), 'utf8')
  } catch (error) {
    if (isMissing(error)) return ''
    throw new BadModel(`${file} cannot be read: ${messageOf(error)}`)
  }
}

/** Bytes of a file; undefined when there is none. */
export async function sizeIfThere(dir: string, file: string): Promise<number | undefined> {
  try {
    const found = await stat(join(dir, file))
    return found.isFile() ? found.size : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw new BadModel(`${file} cannot be read: ${messageOf(error)}`)
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

/** Hexadecimal digits of a revision: 48 bits tell apart all the revisions that one installation will ever see. */
const REVISION_DIGITS = 12

/** The shortened SHA-256 over names, sizes and contents of the files, in the order given. */
export async function revisionOf(dir: string, files: string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    hash.update(`${file}\0${(await sizeIfThere(dir, file)) ?? 0}\0`)
    for await (const part of createReadStream(join(dir, file), { highWaterMark: 1 << 20 })) hash.update(part as Buffer)
  }
  return hash.digest('hex').slice(0, REVISION_DIGITS)
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}
