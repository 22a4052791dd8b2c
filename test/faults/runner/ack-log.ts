// What was acknowledged, on disk before the next request: a fault of the runner or the machine cannot shorten it.
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'

export class AckLog {
  readonly #path: string
  readonly #file: number

  /** @param path of a file, which is created. */
  constructor(path: string) {
    this.#path = path
    this.#file = openSync(path, 'a')
  }

  /** Returns when the line is on disk. */
  record(id: string): void {
    writeSync(this.#file, `${id}\n`)
    fsyncSync(this.#file)
  }

  /** Every recorded id, from the file. */
  read(): string[] {
    return readFileSync(this.#path, 'utf8').split('\n').filter(Boolean)
  }

  close(): void {
    closeSync(this.#file)
  }
}
