// Identity of a file on disk: which file a path is, and whether its content has been changed since.
import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'

export interface FileIdentity {
  /** Inode, size and time of the last change of the content. A renamed file keeps it, an edited one does not. */
  mark: string
  /** Bytes. */
  size: number
  /** Permission bits. */
  mode: number
  /** Device and inode: equal for two paths of one file. */
  place: string
}

/** @returns undefined without a file. */
export async function identityOf(path: string): Promise<FileIdentity | undefined> {
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return found && describe(found)
}

function describe({ dev, ino, size, mtimeNs, mode }: BigIntStats): FileIdentity {
  return {
    mark: `${ino} ${size} ${mtimeNs}`,
    size: Number(size),
    mode: Number(mode) & 0o777,
    place: `${dev} ${ino}`,
  }
}
