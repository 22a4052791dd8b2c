// The process in which models run.
import { writeFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { messageOf } from '../../errors.ts'
import { OnnxClassifier } from './classifier.ts'
import { serveRuns } from './run-loop.ts'

/**
 * On a busy machine most of a call's latency is the wait of api, Redis and worker for a CPU, so inference yields to them.
 * The step is relative: an absolute niceness would raise the priority under a niced parent, which only root may do.
 */
const NICENESS_STEP = 5
const MAX_NICENESS = 19

try {
  setPriority(Math.min(MAX_NICENESS, getPriority() + NICENESS_STEP))
} catch (error) {
  process.stderr.write(`inferq inference: the priority stays as it is: ${messageOf(error)}\n`)
}
try {
  // When memory runs out, Linux ends this process before the worker, Redis or another program.
  writeFileSync('/proc/self/oom_score_adj', '1000')
} catch {
  // Other systems have no such file.
}
serveRuns((source, intraOpThreads) => OnnxClassifier.load(source, intraOpThreads))
