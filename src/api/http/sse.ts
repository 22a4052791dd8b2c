// Server-Sent Events: what is sent, as text; and a sign of life when there is nothing to send.
import { type RouteReply, Streamed } from './route.ts'

export interface ServerEvent {
  event: string
  data: unknown
}

/** Proxies close connections on which nothing comes for a minute. */
const ALIVE_MS = 15_000

/** @param closing aborts when the process stops. */
export function eventsOf(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): RouteReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' },
    body: new Streamed(textOf(events, closing)),
  }
}

async function* textOf(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): AsyncGenerator<string> {
  let next = nextOf(events)
  try {
    while (!closing.aborted) {
      const came = await cameInTime(next)
      if (came === undefined) yield ': still here\n\n'
      else if (came.done) return
      else {
        yield `event: ${came.value.event}\ndata: ${JSON.stringify(came.value.data)}\n\n`
        next = nextOf(events)
      }
    }
  } finally {
    await events.return(undefined)
  }
}

type Came = IteratorResult<ServerEvent>

/** Who stops listening never looks at the last one: should it fail, that is nobody's error. */
function nextOf(events: AsyncGenerator<ServerEvent>): Promise<Came> {
  const next = events.next()
  next.catch(() => undefined)
  return next
}

/** undefined when nothing came for a while. */
async function cameInTime(next: Promise<Came>): Promise<Came | undefined> {
  const alarm = new Alarm(ALIVE_MS)
  try {
    return await Promise.race([next, alarm.rings])
  } finally {
    alarm.stop()
  }
}

class Alarm {
  readonly rings: Promise<undefined>
  stop: () => void = () => undefined

  constructor(ms: number) {
    this.rings = new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ms)
      this.stop = () => clearTimeout(timer)
    })
  }
}
