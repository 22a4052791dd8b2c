// A client of event streams, which keeps what it receives.
import { waitFor } from './wait-for.ts'

interface ReceivedEvent {
  id: string
  event: string
  data: Record<string, unknown>
}

export interface OpenEvents {
  status: number
  headers: Headers
  events: ReceivedEvent[]
  /** Resolves with the events, once there are `count`. */
  at: (count: number) => Promise<ReceivedEvent[]>
  /** Resolves at the end of the stream, however it ends. */
  ended: Promise<void>
  close: () => void
}

/** Resolves with the headers of the answer. */
export async function openEvents(url: string, options: RequestInit = {}): Promise<OpenEvents> {
  const abort = new AbortController()
  const response = await fetch(url, { ...options, signal: abort.signal })
  const events: ReceivedEvent[] = []
  const read = async () => {
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      events.push(...blocks.filter((block) => !block.startsWith(':')).map(eventOf))
    }
  }
  const ended = (response.ok ? read() : Promise.resolve()).catch(() => undefined)
  return {
    status: response.status,
    headers: response.headers,
    events,
    at: async (count) => {
      await waitFor(`${count} events`, () => events.length >= count)
      return events
    },
    ended,
    close: () => abort.abort(),
  }
}

function eventOf(block: string): ReceivedEvent {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
  return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) as Record<string, unknown> }
}
