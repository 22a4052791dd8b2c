// Output of a run: the partial results in a file, or a stream.
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { CommandError } from '../../failure.ts'
import { type OutputStream, print } from '../../terminal.ts'

export interface Output {
  /** Bytes written, including those of earlier runs. */
  readonly bytes: number
  write(text: string): Promise<void>
  /** Resolves when what was written survives a crash of the machine. */
  sync(): Promise<void>
  close(): Promise<void>
}

/**
 * @param bytes the length to truncate the file to; later bytes were written after the state was last saved.
 * @param mode permissions of a new file; undefined for the usual ones.
 * @throws CommandError when the file is shorter, or missing.
 */
export async function openPartial(path: string, bytes: number, mode: number | undefined): Promise<Output> {
  const file = await open(path, 'r+').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    if (bytes > 0) throw new CommandError(`${path}, the results so far, is missing: start over with --restart`)
    const created = await open(path, 'wx', mode)
    // Without the bits that the umask has removed.
    if (mode !== undefined) await created.chmod(mode)
    return created
  })
  try {
    if ((await file.stat()).size < bytes) {
      throw new CommandError(`${path} is shorter than after the last run: start over with --restart`)
    }
    await file.truncate(bytes)
  } catch (error) {
    await file.close()
    throw error
  }
  return new FileOutput(file, path, bytes)
}

/** @param path a device or a named pipe; undefined for stdout. */
export async function openStream(path: string | undefined, stdout: OutputStream): Promise<Output> {
  const nothing = async () => undefined
  if (path === undefined) return { bytes: 0, write: (text) => print(stdout, text), sync: nothing, close: nothing }
  const stream = (await open(path, constants.O_WRONLY)).createWriteStream()
  // Errors are thrown by the next write, or by close.
  const ended = finished(stream)
  ended.catch(() => undefined)
  const write = (text: string) => {
    return new Promise<void>((resolve, reject) => stream.write(text, (error) => (error ? reject(error) : resolve())))
  }
  const close = async () => {
    stream.end()
    await ended
  }
  return { bytes: 0, write, sync: nothing, close }
}

class FileOutput implements Output {
  readonly #file: FileHandle
  readonly #path: string
  #bytes: number

  constructor(file: FileHandle, path: string, bytes: number) {
    this.#file = file
    this.#path = path
    this.#bytes = bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  async write(text: string): Promise<void> {
    const buffer = Buffer.from(text)
    for (let at = 0; at < buffer.length; ) {
      const { bytesWritten } = await this.#named(this.#file.write(buffer, at, buffer.length - at, this.#bytes))
      at += bytesWritten
      this.#bytes += bytesWritten
    }
  }

  async sync(): Promise<void> {
    await this.#named(this.#file.datasync())
  }

  async close(): Promise<void> {
    await this.#named(this.#file.close())
  }

  /** Errors of a file handle have no path. */
  #named<T>(task: Promise<T>): Promise<T> {
    return task.catch((error: unknown) => {
      throw Object.assign(error as Error, { path: this.#path })
    })
  }
}
