// `inferq predict`: texts from the command line, or lines from stdin as they come.
import { Readable, addAbortSignal } from 'node:stream'
import type { Inferq } from '../client/client.ts'
import { InferqError } from '../client/errors.ts'
import { linesOf } from '../client/lines.ts'
import type { PredictResult, PredictOptions } from '../client/types.ts'
import { bestLabel, scoreText } from './best-label.ts'
import { EXIT, UsageError } from './failure.ts'
import { gather } from './gather.ts'
import { oneLine, print, report, shorten, type Terminal, widthOf } from './terminal.ts'

export interface PredictFlags extends PredictOptions {
  json?: boolean | undefined
}

/** Texts of one request, and requests under way at once: enough to fill a worker, little enough to answer soon. */
const TEXTS = 64
const AT_ONCE = 4

/** @returns the exit code: failed when some text was. */
export async function predict(inferq: Inferq, texts: string[], flags: PredictFlags, terminal: Terminal) {
  const { json, ...options } = flags
  const { signal, stdout } = terminal
  const asTable = !json && stdout.isTTY === true
  const ask = async (group: string[]) => {
    return { group, answers: await answersTo(inferq, group, { ...options, signal }) }
  }
  const groups = texts.length > 0 ? cut(texts) : gather(typedLines(terminal), TEXTS)
  let failed = 0
  for await (const { group, answers } of Readable.from(groups).map(ask, { concurrency: AT_ONCE, signal })) {
    const answered = answers as PredictResult[]
    failed += answered.filter((answer) => !Array.isArray(answer)).length
    const shown = asTable
      ? tableOf(group, answered, texts.length === 1, widthOf(stdout))
      : answered.map((answer, at) => `${JSON.stringify({ text: group[at], ...bestLabel(answer, options.topK) })}\n`)
    await print(stdout, shown.join(''))
  }
  if (failed > 0) report(terminal, failed === 1 ? 'one text failed' : `${failed} texts failed`)
  return failed > 0 ? EXIT.failed : EXIT.ok
}

function* cut(texts: string[]): Generator<string[]> {
  if (texts.some((text) => text.trim() === '')) throw new UsageError('a text is empty')
  for (let at = 0; at < texts.length; at += TEXTS) yield texts.slice(at, at + TEXTS)
}

/** Lines that have something on them. */
async function* typedLines(terminal: Terminal): AsyncGenerator<string> {
  if (terminal.stdin.isTTY) report(terminal, 'type texts, one a line; Ctrl-D ends')
  for await (const { text } of linesOf(addAbortSignal(terminal.signal, terminal.stdin))) {
    if (text.trim() !== '') yield text
  }
}

/** Answers in order. What the server refuses of a group is those texts' own error; the others are asked again. */
async function answersTo(inferq: Inferq, texts: string[], options: PredictOptions): Promise<PredictResult[]> {
  try {
    return await inferq.predictMany(texts, options)
  } catch (error) {
    if (!(error instanceof InferqError)) throw error
    if (error.status === 413) return await inHalves(inferq, texts, options, error)
    const refused = refusedTexts(error, texts.length)
    if (!refused) throw error
    const fine = texts.filter((_text, at) => !refused.has(at))
    const rest = fine.length > 0 ? await answersTo(inferq, fine, options) : []
    return texts.map((_text, at) => {
      const reason = refused.get(at)
      return reason === undefined ? (rest.shift() as PredictResult) : { error: reason }
    })
  }
}

/** Texts that are too much for one body. */
async function inHalves(inferq: Inferq, texts: string[], options: PredictOptions, error: InferqError) {
  if (texts.length === 1) return [{ error: error.message }]
  const half = Math.ceil(texts.length / 2)
  return [
    ...(await answersTo(inferq, texts.slice(0, half), options)),
    ...(await answersTo(inferq, texts.slice(half), options)),
  ]
}

/** Which texts a refusal is about; undefined when it is about the request as a whole. */
function refusedTexts({ status, problems }: InferqError, count: number): Map<number, string> | undefined {
  if (status !== 422 || problems.length === 0) return undefined
  const places = problems.map(({ path, index, message }) => {
    const at = index ?? Number(/^inputs\[(\d+)\]/.exec(path ?? '')?.[1] ?? Number.NaN)
    return [at, message] as const
  })
  return places.every(([at]) => Number.isInteger(at) && at < count) ? new Map(places) : undefined
}

function tableOf(texts: string[], answers: PredictResult[], isOnly: boolean, columns: number): string[] {
  return answers.flatMap((answer, at) => {
    const text = oneLine(texts[at] ?? '')
    if (!Array.isArray(answer)) return [`${'error'.padEnd(16)} ${shorten(text, columns - 18)}\n  ${answer.error}\n`]
    const shown = isOnly ? answer : answer.slice(0, 1)
    return shown.map(({ label, score }) => {
      const start = `${scoreText(score).padStart(8)}  ${oneLine(label).padEnd(14)}`
      return isOnly ? `${start.trimEnd()}\n` : `${start}  ${shorten(text, Math.max(20, columns - start.length - 3))}\n`
    })
  })
}
