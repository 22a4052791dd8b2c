// The body of a streamed response.
import type { IdleTimer } from './idle-timer.ts'

/** The bytes of a body; browsers cannot iterate over it. A consumer that takes its time does not make the server idle. */
export async function* chunksOf({ body }: Response, idle: IdleTimer): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader()
  try {
    for (;;) {
      idle.restart()
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
      idle.stop()
      if (done) return
      yield value
    }
  } finally {
    await reader?.cancel().catch(() => undefined)
  }
}
