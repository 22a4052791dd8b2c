// Output of a run: a file or stdout.
import { type FileHandle, open } from 'node:fs/promises'
import { type OutputStream, print } from '../terminal.ts'

export interface Output {
  /** Bytes written, including those of earlier runs. */
  readonly bytes: number
  write(text: string): Promise<void>
  close(): Promise<void>
}

/** @param bytes the length to truncate the file to; later bytes were written after the state was last saved. */
export async function openOutput(path: string, bytes: number): Promise<Output> {
  const file = await open(path, bytes === 0 ? 'w' : 'r+')
  await file.truncate(bytes)
  return new FileOutput(file, bytes)
}

export function streamOutput(screen: OutputStream): Output {
  return { bytes: 0, write: (text) => print(screen, text), close: async () => undefined }
}

class FileOutput implements Output {
  readonly #file: FileHandle
  #bytes: number

  constructor(file: FileHandle, bytes: number) {
    this.#file = file
    this.#bytes = bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  async write(text: string): Promise<void> {
    const buffer = Buffer.from(text)
    for (let at = 0; at < buffer.length; ) {
      const { bytesWritten } = await this.#file.write(buffer, at, buffer.length - at, this.#bytes)
      at += bytesWritten
      this.#bytes += bytesWritten
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
