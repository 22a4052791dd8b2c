// Redis commands per text under concurrent load.
import { Redis } from 'ioredis'
import { load, single } from './load.ts'
import { type BenchModel, models } from './models.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { type Stack, withStack } from './stack.ts'
import { sentences } from './texts.ts'

const CONNECTIONS = 64
const MAX_COMMANDS = 1.5

export const redisCommands: Question = {
  name: 'redis-commands',
  title: `Redis commands for a text, one text a request, ${CONNECTIONS} connections`,
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of models) figures.push(...(await withStack(bench, [model], (stack) => ask(bench, model, stack))))
    return figures
  },
}

async function ask(bench: Bench, { name }: BenchModel, stack: Stack): Promise<Figure[]> {
  const requests = single(sentences(4_096))
  // The counters include a warm-up, so there is none.
  const counted = { ...bench, effort: { ...bench.effort, warmUpSeconds: 0 } }
  const rounds = await runs(bench, async () => {
    bench.say(`redis-commands: ${name}`)
    const before = await counters(stack)
    await load(counted, stack, CONNECTIONS, requests)
    const after = await counters(stack)
    const texts = after.texts - before.texts
    return {
      commands: (after.commands - before.commands) / texts,
      scripts: (after.scripts - before.scripts) / texts,
      texts: texts / (after.jobs - before.jobs),
    }
  })
  const of = (part: 'commands' | 'scripts' | 'texts') => median(rounds.map((round) => round[part]))
  return [
    { what: `${name}, commands a text`, measured: of('commands'), unit: '', budget: { max: MAX_COMMANDS } },
    { what: `${name}, of these, scripts (which run the others)`, measured: of('scripts'), unit: '' },
    { what: `${name}, texts a job`, measured: of('texts'), unit: '' },
  ]
}

interface Counters {
  commands: number
  scripts: number
  texts: number
  jobs: number
}

/** Commands and scripts by Redis' statistics, texts and jobs by the api's metrics. */
async function counters({ url, redisUrl }: Stack): Promise<Counters> {
  const redis = new Redis(redisUrl)
  try {
    const calls = [...(await redis.info('commandstats')).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)]
    const sum = (wanted: (name: string) => boolean) =>
      calls.reduce((total, [, name = '', count]) => total + (wanted(name) ? Number(count) : 0), 0)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    return {
      commands: sum(() => true),
      scripts: sum((name) => name.startsWith('evalsha')),
      texts: metric(metrics, 'inferq_job_texts_sum'),
      jobs: metric(metrics, 'inferq_job_texts_count'),
    }
  } finally {
    redis.disconnect()
  }
}

/** The sum over all labels. */
function metric(metrics: string, name: string): number {
  const values = metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))
  return [...values].reduce((total, [, value]) => total + Number(value), 0)
}
