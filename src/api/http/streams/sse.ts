// Server-Sent Events: encodes events, and sends keep-alive comments.
import { type RouteReply, Streamed } from '../route.ts'
import { withHeartbeats } from './heartbeat.ts'

export interface ServerEvent {
  event: string
  data: unknown
}

/** Returns a reply that streams the events. @param shutdown aborts when the process stops, and ends the stream. */
export function sseReply(events: AsyncGenerator<ServerEvent>, shutdown: AbortSignal): RouteReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' },
    body: new Streamed(withHeartbeats(encoded(events), ': still here\n\n', shutdown)),
  }
}

async function* encoded(events: AsyncGenerator<ServerEvent>): AsyncGenerator<string> {
  for await (const { event, data } of events) yield `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
