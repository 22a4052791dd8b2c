// Resident memory after load, and time from start to ready.
import { readFileSync } from 'node:fs'
import { groups, load, single } from './load.ts'
import { cola, models } from './models.ts'
import { childrenOf } from './processes.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { type Stack, withStack } from './stack.ts'
import { sentences } from './texts.ts'

export const footprint: Question = {
  name: 'footprint',
  title: 'resident memory after load, and time from start to ready',
  ask: async (bench) => {
    const memory = await runs(bench, () => withStack(bench, [cola], (stack) => memoryAfterLoad(bench, stack)))
    const ready = await runs(bench, () => withStack(bench, models, async ({ readyMs }) => readyMs))
    const mb = (what: string, of: (each: Memory) => number, max?: number) => figure(what, memory.map(of), 'MB', max)
    const ms = (what: string, times: number[], max: number) => figure(what, times, 'ms', max)
    return [
      mb('api, resident', ({ api }) => api, 150),
      mb(`worker with ${cola.name}, resident, all its processes`, ({ worker }) => worker, 300),
      mb('of that, the main process', ({ main }) => main),
      mb('of that, one inference process', ({ worker, main, processes }) => (worker - main) / processes),
      mb('worker, with what its processes share counted once', ({ proportional }) => proportional),
      ms(
        'api, from start to ready',
        ready.map(({ api }) => api),
        1_000,
      ),
      ms(
        `worker with ${models.map(({ name }) => name).join(' and ')}, from start to ready`,
        ready.map(({ worker }) => worker),
        2_000,
      ),
    ]
  },
}

function figure(what: string, values: number[], unit: string, max?: number): Figure {
  return { what, measured: median(values), unit, ...(max === undefined ? {} : { budget: { max } }) }
}

interface Memory {
  api: number
  /** Main process and inference processes together. */
  worker: number
  main: number
  /** Number of inference processes. */
  processes: number
  /** All processes, with shared pages divided among them. */
  proportional: number
}

async function memoryAfterLoad(bench: Bench, stack: Stack): Promise<Memory> {
  bench.say('footprint: load')
  await load(bench, stack, 64, single(sentences(4_096)))
  await load(bench, stack, 8, groups(sentences(4_096), 64))
  const children = childrenOf(stack.workerPid)
  const all = [stack.workerPid, ...children]
  const sum = (pids: number[], field: string) => pids.reduce((total, pid) => total + megabytes(pid, field), 0)
  return {
    api: sum([stack.apiPid], 'Rss'),
    worker: sum(all, 'Rss'),
    main: sum([stack.workerPid], 'Rss'),
    processes: children.length,
    proportional: sum(all, 'Pss'),
  }
}

/** @throws on systems without /proc. */
function megabytes(pid: number, field: string): number {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
  return Number(kilobytes?.[1]) / 1_024
}
