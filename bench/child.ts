// Runs a module in its own process: one order in, one answer out.
import { fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * Starts a module of this folder as a child process and resolves with its answer.
 * @throws when the child ends without one, or the signal aborts.
 */
export async function askChild<Answer>(module: string, order: object, signal: AbortSignal): Promise<Answer> {
  const url = new URL(module, import.meta.url)
  const child = fork(url, { execArgv: ['--import', 'tsx'], serialization: 'advanced', signal, killSignal: 'SIGKILL' })
  const ended = once(child, 'exit').then(([code, how]) => {
    throw new Error(`${module} ended with ${how ?? code}`)
  })
  child.send(order)
  try {
    const [answer] = await Promise.race([once(child, 'message', { signal }), ended])
    return answer as Answer
  } finally {
    ended.catch(() => undefined)
    child.kill('SIGKILL')
  }
}

/** The child's side: answers one order and lets the process end. */
export function answerParent<Order>(work: (order: Order) => Promise<object>): void {
  process.once('message', (order: Order) => {
    void work(order).then((answer) => process.send?.(answer, () => process.disconnect()))
  })
  process.once('disconnect', () => process.exit())
}
