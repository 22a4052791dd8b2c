// Server-Sent Events: what is sent, as text; and a sign of life when there is nothing to send.
import { type RouteReply, Streamed } from './route.ts'

export interface ServerEvent {
  event: string
  data: unknown
}

/** Proxies close connections on which nothing comes for a minute. */
const KEEP_ALIVE_MS = 15_000

/** @param closing aborts when the process stops. */
export function sseReply(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): RouteReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' },
    body: new Streamed(encodeEvents(events, closing)),
  }
}

async function* encodeEvents(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): AsyncGenerator<string> {
  let next = nextEvent(events)
  try {
    while (!closing.aborted) {
      const came = await withinKeepAlive(next)
      if (came === undefined) yield ': still here\n\n'
      else if (came.done) return
      else {
        yield `event: ${came.value.event}\ndata: ${JSON.stringify(came.value.data)}\n\n`
        next = nextEvent(events)
      }
    }
  } finally {
    await events.return(undefined)
  }
}

type NextEvent = IteratorResult<ServerEvent>

/** Who stops listening never looks at the last one: should it fail, that is nobody's error. */
function nextEvent(events: AsyncGenerator<ServerEvent>): Promise<NextEvent> {
  const next = events.next()
  next.catch(() => undefined)
  return next
}

/** undefined when nothing came for a while. */
async function withinKeepAlive(next: Promise<NextEvent>): Promise<NextEvent | undefined> {
  const alarm = new Timer(KEEP_ALIVE_MS)
  try {
    return await Promise.race([next, alarm.expired])
  } finally {
    alarm.stop()
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
