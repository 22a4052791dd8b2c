// `inferq predict`: classifies arguments, or lines of stdin as they arrive.
import { addAbortSignal, Readable } from 'node:stream'
import type { Inferq } from '../client/client.ts'
import { linesOf } from '../client/http/lines.ts'
import type { PredictOptions, PredictResult } from '../client/types.ts'
import { bestLabel, scoreText } from './best-label.ts'
import { EXIT, UsageError } from './failure.ts'
import { gather } from './gather.ts'
import { oneLine, print, report, shorten, type Terminal, widthOf } from './terminal.ts'

export interface PredictFlags extends PredictOptions {
  json?: boolean | undefined
}

/** Together these keep a worker busy, while one request still returns quickly. */
const MAX_TEXTS_PER_REQUEST = 64
const MAX_CONCURRENT_REQUESTS = 4

/** @returns the exit code: `failed` when any text failed. */
export async function predict(inferq: Inferq, texts: string[], flags: PredictFlags, terminal: Terminal) {
  const { json, ...options } = flags
  const { signal, stdout } = terminal
  const asTable = !json && stdout.isTTY === true
  const classify = async (group: string[]) => {
    return { group, results: await inferq.predictMany(group, { ...options, signal }) }
  }
  const groups = texts.length > 0 ? split(texts) : gather(readLines(terminal), MAX_TEXTS_PER_REQUEST)
  const answered = Readable.from(groups).map(classify, { concurrency: MAX_CONCURRENT_REQUESTS, signal })
  let failed = 0
  for await (const { group, results } of answered as AsyncIterable<{ group: string[]; results: PredictResult[] }>) {
    failed += results.filter((result) => !Array.isArray(result)).length
    const lines = asTable
      ? tableLines(group, results, texts.length === 1, widthOf(stdout))
      : results.map((result, at) => `${JSON.stringify({ text: group[at], ...bestLabel(result, options.topK) })}\n`)
    await print(stdout, lines.join(''))
  }
  if (failed > 0) report(terminal, failed === 1 ? 'one text failed' : `${failed} texts failed`)
  return failed > 0 ? EXIT.failed : EXIT.ok
}

function* split(texts: string[]): Generator<string[]> {
  if (texts.some((text) => text.trim() === '')) throw new UsageError('a text is empty')
  for (let at = 0; at < texts.length; at += MAX_TEXTS_PER_REQUEST) yield texts.slice(at, at + MAX_TEXTS_PER_REQUEST)
}

/** @yields the lines of stdin that are not blank. */
async function* readLines(terminal: Terminal): AsyncGenerator<string> {
  if (terminal.stdin.isTTY) report(terminal, 'type one text per line; Ctrl-D ends the input')
  for await (const { text } of linesOf(addAbortSignal(terminal.signal, terminal.stdin))) {
    if (text.trim() !== '') yield text
  }
}

function tableLines(texts: string[], results: PredictResult[], isOnly: boolean, columns: number): string[] {
  return results.flatMap((result, at) => {
    const text = oneLine(texts[at] ?? '')
    if (!Array.isArray(result)) return [`${'error'.padEnd(16)} ${shorten(text, columns - 18)}\n  ${result.error}\n`]
    const labels = isOnly ? result : result.slice(0, 1)
    return labels.map(({ label, score }) => {
      const start = `${scoreText(score).padStart(8)}  ${oneLine(label).padEnd(14)}`
      return isOnly ? `${start.trimEnd()}\n` : `${start}  ${shorten(text, Math.max(20, columns - start.length - 3))}\n`
    })
  })
}
