// The process in which models run.
import { setPriority } from 'node:os'
import { OnnxClassifier } from './classifier.ts'
import { serveRuns } from './run-loop.ts'

/** On a busy machine most of a call's time goes by until those who pass it on get a CPU: computing is what can wait. */
const NICENESS = 5

setPriority(NICENESS)
serveRuns((source, intraOpThreads) => OnnxClassifier.load(source, intraOpThreads))
