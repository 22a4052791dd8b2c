// The events of a prediction's stream.
import { linesOf } from '../http/lines.ts'
import type { Prediction } from '../types.ts'

/** An event; with its id a stream continues after it. */
export type PredictionEvent = { id: string } & (
  | {
      event: 'queued'
      data: { id: string; status: 'starting'; position: number | null; eta_seconds: number | null }
    }
  | { event: 'started'; data: { id: string; status: 'processing'; started_at: string } }
  | { event: 'output'; data: NonNullable<Prediction['output']> }
  | { event: 'error'; data: { status: number; detail: string; errors?: { index: number; message: string }[] } }
  | { event: 'done'; data: PredictionEnd }
)

interface PredictionEnd {
  id: string
  /** Absent when the prediction was erased. */
  status?: Prediction['status']
  /** Absent when it succeeded. */
  reason?: 'error' | 'canceled' | 'aborted'
  metrics?: Prediction['metrics']
  completed_at?: string | null
}

/** @yields the events of a response as they arrive; comments are left out, and so is an event without its end. */
export async function* eventsOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<PredictionEvent> {
  let fields: Record<string, string> = {}
  for await (const { text } of linesOf(bytes)) {
    if (text === '') {
      const { id = '', event, data } = fields
      fields = {}
      if (event !== undefined && data !== undefined) yield { id, event, data: JSON.parse(data) } as PredictionEvent
    } else {
      const at = text.indexOf(':')
      fields[text.slice(0, at)] = text.slice(at + 1).replace(/^ /, '')
    }
  }
}
