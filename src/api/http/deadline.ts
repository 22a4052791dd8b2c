// How long a caller waits: until the time is up, the caller hangs up, or the process has to stop.
import { AppError, timedOut } from '../../errors.ts'

export interface Deadline {
  /** Aborts with the error to be thrown as its reason. */
  signal: AbortSignal
  /** Epoch milliseconds. */
  expiresAt: number
  /** No more waiting: frees timer and listeners, and aborts the signal for whoever still waits. */
  end: () => void
}

/** The caller is gone: nobody reads an answer. */
export class ClientDisconnectedError extends AppError {
  constructor() {
    super('Timeout', 499, 'the caller hung up')
  }
}

/** Every call ends: making an error, with its stack, for each would be a cost that nobody sees. */
const ENDED = new ClientDisconnectedError()

/** @param waitMs milliseconds. @param stopping aborts when the process can wait no longer. */
export function startDeadline(waitMs: number, hungUp: AbortSignal, stopping: AbortSignal): Deadline {
  const controller = new AbortController()
  const onTime = () => controller.abort(timedOut(`no answer within ${waitMs / 1_000} s`))
  const onHangUp = () => controller.abort(new ClientDisconnectedError())
  const onStop = () => controller.abort(timedOut('the server is stopping'))
  const timer = setTimeout(onTime, waitMs)
  hungUp.addEventListener('abort', onHangUp, { once: true })
  stopping.addEventListener('abort', onStop, { once: true })
  if (hungUp.aborted) onHangUp()
  if (stopping.aborted) onStop()
  return {
    signal: controller.signal,
    expiresAt: Date.now() + waitMs,
    end: () => {
      controller.abort(ENDED)
      clearTimeout(timer)
      hungUp.removeEventListener('abort', onHangUp)
      stopping.removeEventListener('abort', onStop)
    },
  }
}
