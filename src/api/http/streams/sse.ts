// Server-Sent Events: encodes events, and sends keep-alive comments.
import { type RouteReply, Streamed } from '../route.ts'
import { withHeartbeats } from './heartbeat.ts'

export interface ServerEvent {
  /** A client that connects again sends the id of the last event as Last-Event-ID. */
  id?: string
  event: string
  data: unknown
}

/**
 * Returns a reply that streams the events.
 * @param shutdown aborts when the process stops, and ends the stream. @param release see Streamed.
 */
export function sseReply(events: AsyncGenerator<ServerEvent>, shutdown: AbortSignal, release?: () => void): RouteReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' },
    body: new Streamed(withHeartbeats(encoded(events), ': still here\n\n', shutdown), release),
  }
}

async function* encoded(events: AsyncGenerator<ServerEvent>): AsyncGenerator<string> {
  for await (const { id, event, data } of events) {
    const idLine = id === undefined ? '' : `id: ${id}\n`
    yield `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
  }
}
