// Where the results go: a file, or a stream that cannot be resumed.
import { lstat, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CommandError } from '../../failure.ts'

export type OutputTarget = FileTarget | StreamTarget

export interface FileTarget {
  kind: 'file'
  /** Without links, so that two paths of one file have one state and one lock. */
  path: string
  /** As the user wrote it, for messages. */
  name: string
}

/** stdout without a path; otherwise a device or a named pipe. */
export interface StreamTarget {
  kind: 'stream'
  path: string | undefined
}

/** @param name undefined for stdout. @throws CommandError for a folder, or a link to nothing. */
export async function outputTarget(name: string | undefined): Promise<OutputTarget> {
  if (name === undefined) return { kind: 'stream', path: undefined }
  const found = await statOf(name)
  if (found?.isDirectory()) throw new CommandError(`${name} is a folder: give a file as --output`)
  if (found && !found.isFile()) return { kind: 'stream', path: name }
  if (found) return { kind: 'file', path: await realpath(name), name }
  if (await isLink(name)) throw new CommandError(`${name} is a link to a file that does not exist`)
  const folder = dirname(name)
  if (!(await statOf(folder))) throw new CommandError(`${folder}: no such folder`)
  return { kind: 'file', path: join(await realpath(folder), basename(name)), name }
}

async function statOf(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** A path without a target may still be a link. */
async function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
