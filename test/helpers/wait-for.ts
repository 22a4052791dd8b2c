// Polls a condition until it holds.
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Polls `fact` and resolves with its first result that is neither false, null nor undefined. The default deadline suits
 * a loaded machine; a shorter `within` belongs to tests whose subject is time.
 * @throws Error that names `what`, with the last error of `fact` as its cause, after `within` milliseconds.
 */
export async function waitFor<T>(
  what: string,
  fact: () => T | Promise<T>,
  { within = 30_000, every = 20 }: { within?: number; every?: number } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = Date.now() + within
  for (;;) {
    let cause: unknown
    try {
      const result = await fact()
      if (result !== false && result !== null && result !== undefined) {
        return result as Exclude<T, false | null | undefined>
      }
    } catch (error) {
      cause = error
    }
    if (Date.now() > deadline) throw new Error(`timed out after ${within} ms waiting for: ${what}`, { cause })
    await delay(every)
  }
}
