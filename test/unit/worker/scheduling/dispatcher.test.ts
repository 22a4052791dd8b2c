import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFailed, type Row } from '../../../../src/queue/job.ts'
import type { RunOutcome, RunTask } from '../../../../src/worker/inference/inference-process.ts'
import { emptyColumns } from '../../../../src/worker/inference/ipc.ts'
import { CostModel } from '../../../../src/worker/scheduling/cost-model.ts'
import { Dispatcher, type DispatcherEvents, type Inference } from '../../../../src/worker/scheduling/dispatcher.ts'
import type { JobTexts } from '../../../../src/worker/scheduling/pending-job.ts'

/** Inference processes that end a run when the test does; the logit of a text is its length. */
class Processes implements Inference {
  readonly runs: Array<{ task: RunTask; settle: (outcome: RunOutcome) => void }> = []
  readonly #processes: number
  readonly #runsPerProcess: number

  constructor(processes: number, runsPerProcess: number) {
    this.#processes = processes
    this.#runsPerProcess = runsPerProcess
  }

  get hasRoom(): boolean {
    return this.runs.length < this.#processes * this.#runsPerProcess
  }

  get isIdle(): boolean {
    return this.runs.length < this.#processes
  }

  run(task: RunTask): Promise<RunOutcome> {
    return new Promise((settle) => this.runs.push({ task, settle }))
  }

  /** Ends the oldest run. */
  async end(kind: 'ran' | 'crash' | 'timeout' | 'not started'): Promise<void> {
    const run = this.runs.shift()
    if (!run) throw new Error('no run is in flight')
    if (kind === 'ran') run.settle({ kind, columns: computed(run.task.columns.texts), ms: 5 })
    else if (kind === 'not started') run.settle({ kind: 'lost', cause: 'crash', wasRunning: false })
    else run.settle({ kind: 'lost', cause: kind, wasRunning: true })
    await settled()
  }
}

function computed(texts: string[]) {
  const columns = emptyColumns(texts.length, 1)
  texts.forEach((text, index) => {
    if (text === 'bad') columns.errors.push([index, { code: 'Backend', message: 'no' }])
    columns.logits[index] = text.length
    columns.tokens[index] = 3
    columns.batchSize[index] = texts.length
  })
  return columns
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

const noEvents: DispatcherEvents = {
  ran: () => undefined,
  queued: () => undefined,
  broken: () => undefined,
  rows: () => undefined,
}

function setUp(count = 1, more: Partial<ConstructorParameters<typeof Dispatcher>[0]> = {}, runsPerProcess = 1) {
  const processes = new Processes(count, runsPerProcess)
  const costModel = more.costModel ?? new CostModel({ processes: count, maxRunTokens: 100 })
  costModel.calibrate('cola', { overheadMs: 1, tokenMs: 0.1 })
  const dispatcher = new Dispatcher({
    inference: processes,
    costModel,
    maxTokens: () => 512,
    processes: 1,
    maxBackgroundProcesses: 1,
    runTimeout: undefined,
    events: noEvents,
    now: () => 1_000,
    ...more,
  })
  return { processes, dispatcher }
}

const jobOf = (texts: string[], more: Partial<JobTexts> = {}): JobTexts => ({
  model: 'cola',
  lane: 'interactive',
  items: texts.map((text) => ({ text })),
  truncate: 'right',
  createdAt: 990,
  owner: 'a',
  weight: 1,
  deadline: undefined,
  due: undefined,
  ...more,
})

const logitsOf = (row: Row) => ('logits' in row ? row.logits : row.error.code)

describe('a job', () => {
  it('gets its rows in its own order', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(jobOf(['a', 'a much longer text, which is in another run', 'bb']))
    await processes.end('ran')
    while (processes.runs.length > 0) await processes.end('ran')
    expect(await end).toMatchObject({ kind: 'done' })
    const { rows } = (await end) as { rows: Row[] }
    expect(rows.map(logitsOf)).toEqual([[1], [43], [2]])
    expect(rows[0]).toMatchObject({ tokens: 3, ms: { queue: 10 }, run: 3 })
  })

  it('keeps the error of one text to that text', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(jobOf(['good', 'bad', 'fine']))
    await processes.end('ran')
    expect(((await end) as { rows: Row[] }).rows.map(logitsOf)).toEqual([[4], 'Backend', [4]])
  })

  it('sends a column of pairs only when a text is a pair', async () => {
    const { processes, dispatcher } = setUp(2)
    dispatcher.submit(jobOf(['a']))
    dispatcher.submit(jobOf([], { items: [{ text: 'a', pair: 'b' }, { text: 'c' }] }))
    expect(processes.runs[0]?.task.columns).toEqual({ texts: ['a'], truncate: ['right'] })
    expect(processes.runs[1]?.task.columns.pairs?.toSorted()).toEqual(['b', undefined])
  })

  it('has a run timeout of 20 times the estimate, at least 2 s', () => {
    const { processes, dispatcher } = setUp()
    dispatcher.submit(jobOf(['a']))
    expect(processes.runs[0]?.task.timeoutMs).toBe(2_000)
  })

  it('of words that are one token each makes the runs of other texts no longer', async () => {
    const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
    const { processes, dispatcher } = setUp(1, { costModel })
    const budget = costModel.budget('cola')
    dispatcher.submit(jobOf(Array.from({ length: 500 }, () => 'a'.repeat(900))))
    while (processes.runs.length > 0) await processes.end('ran')
    expect(costModel.budget('cola')).toBe(budget)
    expect(costModel.slowdown('cola')).toBeGreaterThan(1)
  })

  it('that has not started by its deadline never runs', async () => {
    const clock = { now: 1_000 }
    const { processes, dispatcher } = setUp(1, { now: () => clock.now })
    dispatcher.submit(jobOf(['a']))
    const expired = dispatcher.submit(jobOf(['b'], { deadline: 1_500 }))
    clock.now = 2_000
    await processes.end('ran')
    expect(await expired.end).toEqual({ kind: 'expired' })
    expect(processes.runs).toHaveLength(0)
  })

  it('runs no more texts after it is canceled', async () => {
    const { processes, dispatcher } = setUp()
    const long = 'a long text that fills a run. '.repeat(8)
    const canceled = dispatcher.submit(jobOf([long, long, long]))
    canceled.cancel()
    expect(await canceled.end).toEqual({ kind: 'canceled', rows: [] })
    await processes.end('ran')
    expect(processes.runs).toHaveLength(0)
  })

  it('keeps the rows that were computed before it is canceled', async () => {
    const { processes, dispatcher } = setUp()
    const canceled = dispatcher.submit(jobOf(['a', 'a long text that fills a run. '.repeat(8)]))
    await processes.end('ran')
    canceled.cancel()
    const { kind, rows } = (await canceled.end) as { kind: string; rows: Row[] }
    expect(kind).toBe('canceled')
    expect(rows.map((row) => (isFailed(row) ? row.error.code : 'computed'))).toEqual(['computed', 'Canceled'])
  })
})

describe('bulk', () => {
  const bulk = (count: number) => jobOf(Array<string>(count).fill('a text of a batch'), { lane: 'bulk' })
  const lanes = ({ runs }: Processes) => runs.map(({ task: { columns } }) => (columns.texts[0] === 'a' ? 'i' : 'b'))

  it('has every process, with runs sent ahead, while there is no interactive traffic', () => {
    const { processes, dispatcher } = setUp(2, {}, 2)
    dispatcher.submit(bulk(200))
    expect(lanes(processes)).toEqual(['b', 'b', 'b', 'b'])
  })

  it('leaves one process free while interactive traffic is recent, and sends no run ahead', async () => {
    const { processes, dispatcher } = setUp(3, { maxBackgroundProcesses: 2 }, 2)
    const { end } = dispatcher.submit(jobOf(['a']))
    dispatcher.submit(bulk(200))
    expect(lanes(processes)).toEqual(['i', 'b', 'b'])
    await processes.end('ran')
    await end
    expect(lanes(processes)).toEqual(['b', 'b'])
    dispatcher.submit(jobOf(['a']))
    expect(lanes(processes)).toEqual(['b', 'b', 'i'])
  })

  it('runs in the only process while that is idle', async () => {
    const { processes, dispatcher } = setUp(1, {}, 2)
    dispatcher.submit(jobOf(['a']))
    dispatcher.submit(bulk(200))
    expect(lanes(processes)).toEqual(['i'])
    await processes.end('ran')
    expect(lanes(processes)).toEqual(['b'])
  })
})

describe('requeueAll', () => {
  it('ends pending and later jobs as handed back', async () => {
    const { processes, dispatcher } = setUp()
    const first = dispatcher.submit(jobOf(['a']))
    const second = dispatcher.submit(jobOf(['b']))
    dispatcher.requeueAll()
    const third = dispatcher.submit(jobOf(['c']))
    for (const { end } of [first, second, third]) expect(await end).toEqual({ kind: 'requeued' })
    await processes.end('ran')
    expect(processes.runs).toHaveLength(0)
  })
})

it('requeueModel ends the jobs of one model as handed back, and no others', async () => {
  const { processes, dispatcher } = setUp()
  const pending = dispatcher.submit(jobOf(['a', 'bb']))
  const other = dispatcher.submit(jobOf(['ccc'], { model: 'other' }))
  dispatcher.requeueModel('cola')
  const later = dispatcher.submit(jobOf(['a']))
  for (const { end } of [pending, later]) expect(await end).toEqual({ kind: 'requeued' })
  while (processes.runs.length > 0) await processes.end('ran')
  expect(await other.end).toMatchObject({ kind: 'done', rows: [{ logits: [3] }] })
})

describe('the end of a process', () => {
  it('makes the texts of its run run again alone, and only a text that ends a process alone fails', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(jobOf(['poison', 'a', 'bb']))
    await processes.end('crash')
    expect(processes.runs.map(({ task: { columns, suspect } }) => [columns.texts, suspect])).toEqual([
      [['poison'], true],
    ])
    await processes.end('crash')
    await processes.end('ran')
    await processes.end('ran')
    expect(((await end) as { rows: Row[] }).rows.map(logitsOf)).toEqual(['Backend', [1], [2]])
  })

  it('keeps the job whose texts may be the cause when all others are given back', async () => {
    const { processes, dispatcher } = setUp()
    const suspect = dispatcher.submit(jobOf(['poison', 'a']))
    const other = dispatcher.submit(jobOf(['b']))
    await processes.end('crash')
    dispatcher.requeueAll({ suspects: false })
    expect(await other.end).toEqual({ kind: 'requeued' })
    await processes.end('crash')
    await processes.end('ran')
    expect(((await suspect.end) as { rows: Row[] }).rows.map(logitsOf)).toEqual(['Backend', [1]])
  })

  it('by timeout makes the next runs as long as after the warm-up', async () => {
    const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
    const { processes, dispatcher } = setUp(1, { costModel })
    const budget = costModel.budget('cola')
    for (let run = 0; run < 100; run += 1) costModel.observe('cola', 1_000, 10, 1)
    expect(costModel.budget('cola')).toBeGreaterThan(budget)
    dispatcher.submit(jobOf(['a']))
    await processes.end('timeout')
    expect(costModel.budget('cola')).toBe(budget)
    expect(costModel.slowdown('cola')).toBe(1)
  })

  it('by timeout is stated in the error of the text', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(jobOf(['slow']))
    await processes.end('timeout')
    await processes.end('timeout')
    expect(await end).toEqual({
      kind: 'done',
      rows: [{ error: { code: 'Backend', message: 'the model exceeded the timeout on this text' } }],
    })
  })

  it('requeues a run that had not started', async () => {
    const { processes, dispatcher } = setUp(2)
    dispatcher.submit(jobOf(['poison']))
    const innocent = dispatcher.submit(jobOf(['a']))
    const [running, notStarted] = processes.runs.splice(0)
    notStarted?.settle({ kind: 'lost', cause: 'crash', wasRunning: false })
    running?.settle({ kind: 'lost', cause: 'crash', wasRunning: true })
    await settled()
    const retried = processes.runs.find(({ task: { columns } }) => columns.texts.includes('a'))
    expect(retried?.task.suspect).toBe(false)
    retried?.settle({ kind: 'ran', columns: computed(['a']), ms: 1 })
    expect(await innocent.end).toMatchObject({ kind: 'done' })
  })

  it('leaves processes to others: only some compute suspect texts', async () => {
    const { processes, dispatcher } = setUp(2)
    dispatcher.submit(jobOf(['p1', 'p2', 'p3']))
    await processes.end('crash')
    expect(processes.runs.filter(({ task: { suspect } }) => suspect)).toHaveLength(1)
    dispatcher.submit(jobOf(['a']))
    expect(processes.runs.map(({ task: { suspect } }) => suspect)).toEqual([true, false])
  })

  it('does not retry a text that was canceled meanwhile', async () => {
    const { processes, dispatcher } = setUp()
    const canceled = dispatcher.submit(jobOf(['a']))
    canceled.cancel()
    await processes.end('crash')
    expect(processes.runs).toHaveLength(0)
  })
})

it('returns one row for every text after any sequence of crashes', async () => {
  const outcomes = fc.array(fc.constantFrom('ran', 'crash', 'timeout', 'not started'), { maxLength: 60 })
  const jobs = fc.array(
    fc.array(fc.constantFrom('a', 'bb', 'a longer text, for another run', 'bad'), { minLength: 1, maxLength: 8 }),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  await fc.assert(
    fc.asyncProperty(jobs, outcomes, fc.integer({ min: 1, max: 3 }), async (texts, ends, count) => {
      const { processes, dispatcher } = setUp(count)
      const computations = texts.map((each) => dispatcher.submit(jobOf(each)))
      for (const end of ends) if (processes.runs.length > 0) await processes.end(end)
      while (processes.runs.length > 0) await processes.end('ran')
      for (const [index, { end }] of computations.entries()) {
        const { kind, rows } = (await end) as { kind: string; rows: Row[] }
        expect(kind).toBe('done')
        rows.forEach((row, position) => {
          const text = texts[index]?.[position] ?? ''
          expect([text === 'bad' ? 'Backend' : [text.length], 'Backend']).toContainEqual(logitsOf(row))
        })
      }
    }),
  )
})
