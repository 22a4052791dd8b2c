// One promise, and what its scenario gets: processes that it may break, a log of what was acknowledged, a verdict.
import type { AckLog } from './ack-log.ts'
import type { Cluster, ClusterOptions } from './cluster.ts'

/** A file `NN-NAME.ts` of `scenarios/` exports one as `scenario`: NN is the promise's number. */
export interface Scenario {
  /** One sentence. */
  promise: string
  run: (context: ScenarioContext) => Promise<Outcome>
}

interface ScenarioContext {
  /** Chooses by form: the short form injects the same faults fewer times. */
  pick: <T>(short: T, long: T) => T
  /** Starts Redis, apis and workers of this scenario's own; the runner stops them. */
  start: (options?: ClusterOptions) => Promise<Cluster>
  /** The log of what was acknowledged. */
  acks: AckLog
  /** An empty directory, which the runner removes. */
  directory: string
  /** Registers what is stopped at the end, the last first. */
  onEnd: (stop: () => unknown) => void
}

export interface Outcome {
  /** What was injected, with counts. */
  faults: string
  /** What was measured. */
  figure: string
  /** `[what must hold, whether it does]` */
  checks: [string, boolean][]
}
