// The spans of one job: its time in the queue, and its runs.
import { isFailed, type Row, type TextsJob } from '../../queue/job.ts'
import type { Lane } from '../../queue/names.ts'
import { parseTraceparent, SPAN_KIND, type Tracer } from '../../telemetry/tracer.ts'

/** A job of which no more texts run. */
export interface EndedJob {
  data: TextsJob
  lane: Lane
  outcome: string
  /** Epoch milliseconds: its creation, its first run (undefined: it never ran), and its end. */
  createdAt: number
  startedAt: number | undefined
  endedAt: number
  rows: readonly Row[]
}

/** @returns the function that records the spans of a job in the traces of its callers. */
export function traceJobs(tracer: Tracer, worker: string): (job: EndedJob) => void {
  return ({ data, lane, outcome, createdAt, startedAt, endedAt, rows }) => {
    // Texts of several callers may share a job.
    const { traceparent = '', others = '' } = data.trace ?? {}
    const shared = { 'inferq.model': data.model, 'inferq.lane': lane, 'inferq.worker': worker }
    for (const parent of [traceparent, ...others.split(',')].map(parseTraceparent)) {
      if (!parent?.sampled) continue
      tracer.record(tracer.newSpan(parent), parent, {
        name: 'queue',
        kind: SPAN_KIND.consumer,
        startMs: createdAt,
        endMs: startedAt ?? endedAt,
        attributes: { ...shared, 'inferq.outcome': outcome },
      })
      if (startedAt === undefined) continue
      tracer.record(tracer.newSpan(parent), parent, {
        name: 'run',
        startMs: startedAt,
        endMs: endedAt,
        failed: rows.some(isFailed),
        attributes: { ...shared, ...runAttributes(data, rows) },
      })
    }
  }
}

function runAttributes({ items }: TextsJob, rows: readonly Row[]): Record<string, number> {
  const computed = rows.flatMap((row) => (isFailed(row) ? [] : [row]))
  return {
    'inferq.texts': items.length,
    'inferq.failed_texts': rows.length - computed.length,
    'inferq.tokens': computed.reduce((sum, { tokens }) => sum + tokens, 0),
    'inferq.run_texts': computed.reduce((most, { run }) => Math.max(most, run), 0),
    'inferq.tokenize_ms': computed.reduce((most, { ms }) => Math.max(most, ms.tokenize), 0),
    'inferq.infer_ms': computed.reduce((most, { ms }) => Math.max(most, ms.infer), 0),
  }
}
