// The environment of a process whose machine has a wrong clock.

/** @param seconds that Date.now() is ahead; performance.now() and timers are unchanged. */
export function shiftedClock(seconds: number): { NODE_OPTIONS: string } {
  const program = `const now = Date.now; Date.now = () => now() + ${seconds * 1_000}`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}` }
}
