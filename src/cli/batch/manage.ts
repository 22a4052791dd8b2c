// `inferq batch list`, `show` and `cancel`: batches on the server.
import type { Inferq } from '../../client/client.ts'
import type { Batch } from '../../client/types.ts'
import { EXIT } from '../failure.ts'
import { countText } from '../format.ts'
import { tableText } from '../table.ts'
import { oneLine, print, report, type Terminal, widthOf } from '../terminal.ts'

export interface BatchListFlags {
  limit: number
  json?: boolean | undefined
}

const MAX_PAGE = 100
const MAX_PROBLEMS = 10

export async function listBatches(
  inferq: Inferq,
  { limit, json }: BatchListFlags,
  terminal: Terminal,
): Promise<number> {
  const batches: Batch[] = []
  for (let hasMore = true; hasMore && batches.length < limit; ) {
    const after = batches.at(-1)?.id
    const size = Math.min(MAX_PAGE, limit - batches.length)
    const page = await inferq.batches.list({ limit: size, ...(after === undefined ? {} : { after }) })
    batches.push(...page.data)
    hasMore = page.has_more && page.data.length > 0
  }
  if (json) await print(terminal.stdout, jsonLines(batches))
  else if (batches.length === 0) report(terminal, 'no batches')
  else await print(terminal.stdout, tableText([TITLES, ...batches.map(cells)], widthOf(terminal.stdout)))
  return EXIT.ok
}

export async function showBatches(
  inferq: Inferq,
  ids: string[],
  { json }: { json?: boolean | undefined },
  terminal: Terminal,
): Promise<number> {
  const batches: Batch[] = []
  for (const id of ids) batches.push(await inferq.batches.get(id, terminal.signal))
  if (json) await print(terminal.stdout, jsonLines(batches))
  else await print(terminal.stdout, batches.map(describe).join('\n'))
  return EXIT.ok
}

/** Cancels every batch, also when one of them fails. @throws the first error. */
export async function cancelBatches(
  inferq: Inferq,
  ids: string[],
  { json }: { json?: boolean | undefined },
  terminal: Terminal,
): Promise<number> {
  const ends = await Promise.allSettled(ids.map((id) => inferq.batches.cancel(id)))
  const cancelled = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []))
  if (json) await print(terminal.stdout, jsonLines(cancelled))
  else for (const { id, status } of cancelled) report(terminal, `${id} is ${status}`)
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed) throw failed.reason
  return EXIT.ok
}

const TITLES = ['ID', 'STATUS', 'DONE', 'FAILED', 'ROWS', 'CREATED']

function cells({ id, status, request_counts: { total, completed, failed }, created_at: created }: Batch): string[] {
  return [id, status, countText(completed), countText(failed), countText(total), timeText(created)]
}

function describe(batch: Batch): string {
  const { output_file_id: output, error_file_id: errors } = batch
  const facts = [
    ...TITLES.map((title, at) => [title.toLowerCase(), cells(batch)[at]]),
    ['endpoint', batch.endpoint],
    ...(batch.input_file_id ? [['input', batch.input_file_id]] : []),
    ...(output ? [['output', output]] : []),
    ...(errors ? [['errors', errors]] : []),
    ...(batch.errors?.data ?? [])
      .slice(0, MAX_PROBLEMS)
      .map(({ line, message }) => ['', line ? `line ${line}: ${message}` : message]),
  ]
  return facts
    .map(([name, value]) => `${(name ?? '').padEnd(10)}${oneLine(value ?? '')}`.trimEnd())
    .join('\n')
    .concat('\n')
}

function jsonLines(batches: Batch[]): string {
  return batches.map((batch) => `${JSON.stringify(batch)}\n`).join('')
}

/** @param seconds Unix time. @returns local time. */
function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleString('sv-SE')
}
