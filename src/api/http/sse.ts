// Server-Sent Events: encodes events, and sends keep-alive comments.
import { type RouteReply, Streamed } from './route.ts'

export interface ServerEvent {
  event: string
  data: unknown
}

/** Proxies close connections that are idle for about a minute. */
const KEEP_ALIVE_MS = 15_000

/** Returns a reply that streams the events. @param shutdown aborts when the process stops, and ends the stream. */
export function sseReply(events: AsyncGenerator<ServerEvent>, shutdown: AbortSignal): RouteReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' },
    body: new Streamed(encodeEvents(events, shutdown)),
  }
}

async function* encodeEvents(events: AsyncGenerator<ServerEvent>, shutdown: AbortSignal): AsyncGenerator<string> {
  let next = nextEvent(events)
  try {
    while (!shutdown.aborted) {
      const result = await withinKeepAlive(next)
      if (result === undefined) yield ': still here\n\n'
      else if (result.done) return
      else {
        yield `event: ${result.value.event}\ndata: ${JSON.stringify(result.value.data)}\n\n`
        next = nextEvent(events)
      }
    }
  } finally {
    await events.return(undefined)
  }
}

type NextEvent = IteratorResult<ServerEvent>

/** The consumer may return before this promise settles; ignore its rejection. */
function nextEvent(events: AsyncGenerator<ServerEvent>): Promise<NextEvent> {
  const next = events.next()
  next.catch(() => undefined)
  return next
}

/** The next event; undefined when none arrives within KEEP_ALIVE_MS. */
async function withinKeepAlive(next: Promise<NextEvent>): Promise<NextEvent | undefined> {
  const timer = new Timer(KEEP_ALIVE_MS)
  try {
    return await Promise.race([next, timer.expired])
  } finally {
    timer.stop()
  }
}

class Timer {
  readonly expired: Promise<undefined>
  stop: () => void = () => undefined

  constructor(ms: number) {
    this.expired = new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ms)
      this.stop = () => clearTimeout(timer)
    })
  }
}
