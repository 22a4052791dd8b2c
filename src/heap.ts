// How much memory a process takes beyond what it needs.
import { setFlagsFromString } from 'node:v8'

/** Percent of what is in use. V8's own choice is up to 300: it collects late, and then has nothing but garbage. */
const GROWTH = 50

/**
 * Lets the heap grow by half of what survived the last collection before the next one, for processes whose garbage is
 * much and whose state is little. To be called first. V8 reads the flag whenever it sets the next limit.
 */
export function growSlowly(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH}`)
}
