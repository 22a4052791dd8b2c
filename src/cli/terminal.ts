// The world of a command: where it reads, where it writes, and when it has to stop.
import { once } from 'node:events'
import type { ReadStream } from 'node:tty'
import type { Readable, Writable } from 'node:stream'

export interface Terminal {
  stdin: Readable & Partial<Pick<ReadStream, 'isTTY'>>
  /** Answers go here, and nothing else. */
  stdout: OutputStream
  /** Everything that is said to the person: progress, notes, errors. */
  stderr: OutputStream
  /** Aborts at Ctrl-C; its reason is Interrupted. */
  signal: AbortSignal
}

export type OutputStream = Writable & { isTTY?: boolean; columns?: number }

/** Characters of a line; a pipe has as many as you like, and some terminals do not know. */
export function widthOf({ isTTY, columns }: OutputStream): number {
  if (!isTTY) return Number.POSITIVE_INFINITY
  return columns !== undefined && columns > 0 ? columns : 80
}

/** One line for the person. */
export function report({ stderr }: Terminal, line: string): void {
  stderr.write(`inferq: ${line}\n`)
}

/** Writes, and waits while whoever reads is slower. */
export async function print(screen: OutputStream, text: string): Promise<void> {
  if (!screen.write(text)) await once(screen, 'drain')
}

/** Text that may hold anything as one line that cannot move the cursor: controls become spaces. */
export function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- controls are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}

/** At most `width` characters, cut between graphemes. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text
  let kept = ''
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, width))) {
    if (kept.length + segment.length > width - 1) break
    kept += segment
  }
  return `${kept}…`
}
