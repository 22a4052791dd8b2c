// Ends this process when its parent is gone, also while native code blocks the main thread and no event is handled.
import { Worker } from 'node:worker_threads'

const POLL_MS = 1_000
/** The heap of the thread, megabytes. */
const HEAP_MB = 32

const PROGRAM = `
const { workerData } = require('node:worker_threads')
setInterval(() => {
  if (process.ppid !== workerData.parent) process.kill(process.pid, 'SIGKILL')
}, workerData.ms)`

/** Starts a thread that kills this process once it has another parent; the thread alone does not keep it alive. */
export function endWithParent(): void {
  const thread = new Worker(PROGRAM, {
    eval: true,
    execArgv: [],
    workerData: { parent: process.ppid, ms: POLL_MS },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
  })
  // Without the thread the process still ends with its parent whenever it handles events.
  thread.on('error', (error) => process.stderr.write(`inferq inference: no parent watch: ${error.message}\n`))
  thread.unref()
}
