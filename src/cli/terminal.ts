// Streams and interrupt signal of a command.
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import type { ReadStream } from 'node:tty'
import { styleText } from 'node:util'

export interface Terminal {
  stdin: Readable & Partial<Pick<ReadStream, 'isTTY'>>
  /** Results only. */
  stdout: OutputStream
  /** Progress, notes and errors. */
  stderr: OutputStream
  /** Aborts on SIGINT, SIGTERM and SIGHUP; its reason is an InterruptedError. */
  signal: AbortSignal
  /** Set while a progress bar is the last line: writes above it. */
  writeAbove?: ((write: () => void) => void) | undefined
}

export type OutputStream = Writable & { isTTY?: boolean; columns?: number }

/** Characters per line: unlimited for a pipe, 80 for a terminal without a known width. */
export function widthOf({ isTTY, columns }: OutputStream): number {
  if (!isTTY) return Number.POSITIVE_INFINITY
  return columns !== undefined && columns > 0 ? columns : 80
}

/** Whether a line can be erased and written again: a terminal that is not `dumb`. */
export function canRedraw({ isTTY }: OutputStream): boolean {
  return isTTY === true && process.env['TERM'] !== 'dumb'
}

/** The text in a color on a terminal, and as it is in a pipe or with NO_COLOR. */
export function colored(stream: OutputStream, color: 'green' | 'yellow' | 'red', text: string): string {
  return canRedraw(stream) ? styleText(color, text, { stream }) : text
}

/** Writes one line for the user to stderr, above a progress bar. */
export function report({ stderr, writeAbove = (write) => write() }: Terminal, line: string): void {
  writeAbove(() => stderr.write(`inferq: ${line}\n`))
}

/** Writes text, and waits while the reader is slower. */
export async function print(stream: OutputStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain')
}

/** Replaces control characters by spaces, so that untrusted text is one line and cannot move the cursor. */
export function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the expression matches control characters on purpose
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
