// Runs one scenario within its time, and stops all that it has started.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { settledWithin } from '../../../src/async.ts'
import { AckLog } from './ack-log.ts'
import { Cluster } from './cluster.ts'
import type { Outcome, Scenario } from './scenario.ts'

export interface NamedScenario extends Scenario {
  /** The promise's number. */
  number: number
  name: string
}

export interface Result extends Omit<Outcome, 'checks'> {
  number: number
  name: string
  promise: string
  seconds: number
  /** What did not hold; empty: the promise is kept. */
  broken: string[]
}

/** A scenario ends before, whatever a busy machine adds; one that does not has failed. */
const TIMEOUT_MS = { short: 300_000, long: 900_000 }

export async function runScenario(scenario: NamedScenario, form: 'short' | 'long'): Promise<Result> {
  const { number, name, promise } = scenario
  const began = Date.now()
  const directory = mkdtempSync(join(tmpdir(), 'inferq-scenario-'))
  const stops: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  const onEnd = (stop: () => unknown) => void stops.push(stop)
  const acks = new AckLog(join(directory, 'acknowledged'))
  onEnd(() => acks.close())
  let outcome: Outcome = { faults: '', figure: '', checks: [] }
  const broken: string[] = []
  const run = async () => {
    outcome = await scenario.run({
      pick: (short, long) => (form === 'short' ? short : long),
      start: (options = {}) => Cluster.start(options, onEnd),
      acks,
      directory,
      onEnd,
    })
  }
  try {
    const inTime = await settledWithin(run(), TIMEOUT_MS[form])
    if (!inTime) broken.push(`it has not ended after ${TIMEOUT_MS[form] / 1_000} s`)
  } catch (error) {
    broken.push(describe(error))
  }
  for (const stop of stops.toReversed()) await Promise.resolve(stop()).catch(() => undefined)
  for (const [what, holds] of outcome.checks) if (!holds) broken.push(what)
  const { faults, figure } = outcome
  return { number, name, promise, faults, figure, seconds: Math.round((Date.now() - began) / 1_000), broken }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${describe(error.cause)})`
}
