import { setTimeout as delay } from 'node:timers/promises'

/**
 * Waits for a fact: resolves with the first result of `fact` that is neither false, null nor undefined.
 * @throws an error that names the fact, with what `fact` last threw as its cause, once `within` milliseconds have passed.
 */
export async function waitFor<T>(
  what: string,
  fact: () => T | Promise<T>,
  { within = 10_000, every = 20 }: { within?: number; every?: number } = {},
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
    if (Date.now() > deadline) throw new Error(`waited ${within} ms in vain for: ${what}`, { cause })
    await delay(every)
  }
}
