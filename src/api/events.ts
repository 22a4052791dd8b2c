// Server-Sent Events: what is sent, as text; and a sign of life when there is nothing to send.
import { type Reply, Streamed } from './route.ts'

export interface ServerEvent {
  event: string
  data: unknown
}

/** Proxies close connections on which nothing comes for a minute. */
const ALIVE_MS = 15_000

/** @param closing aborts when the process stops. */
export function eventsOf(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): Reply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' },
    body: new Streamed(textOf(events, closing)),
  }
}

async function* textOf(events: AsyncGenerator<ServerEvent>, closing: AbortSignal): AsyncGenerator<string> {
  let next = events.next()
  try {
    while (!closing.aborted) {
      const timer = new Alarm(ALIVE_MS)
      const came = await Promise.race([next, timer.rings])
      timer.stop()
      if (came === undefined) yield ': still here\n\n'
      else if (came.done) return
      else {
        yield `event: ${came.value.event}\ndata: ${JSON.stringify(came.value.data)}\n\n`
        next = events.next()
      }
    }
  } finally {
    await events.return(undefined)
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
