// The seed and the number of runs of generated tests: FUZZ_SEED repeats a run, FUZZ_RUNS makes it longer.
import type { Parameters } from 'fast-check'

/** Options for fc.assert. @param runs without FUZZ_RUNS. */
export function fuzzOptions(runs: number): Pick<Parameters, 'seed' | 'numRuns'> & { seed: number; numRuns: number } {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const numRuns = Number(process.env['FUZZ_RUNS'] ?? runs)
  console.log(`fuzz: ${numRuns} runs, FUZZ_SEED=${seed}`)
  return { seed, numRuns }
}
