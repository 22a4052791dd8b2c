// Limits the growth of V8's heap.
import { setFlagsFromString } from 'node:v8'

/** Percent of the live heap. V8's default growth of up to 300 % delays major collections; memory is mostly garbage. */
const GROWTH = 50

/**
 * Starts the next collection when the heap has grown by half of what survived the last one, for processes with much
 * garbage and little state. It is called before anything else; V8 reads the flag when it sets the next limit.
 */
export function growSlowly(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH}`)
}
