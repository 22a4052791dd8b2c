// The process in which models run.
import { OnnxClassifier } from './classifier.ts'
import { serveRuns } from './serve.ts'

serveRuns((source, intraOpThreads) => OnnxClassifier.load(source, intraOpThreads))
