import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Row } from '../../../../src/queue/job.ts'
import { Dispatcher, type DispatcherEvents, type Inference } from '../../../../src/worker/scheduling/dispatcher.ts'
import type { JobTexts } from '../../../../src/worker/scheduling/pending-job.ts'
import { emptyColumns } from '../../../../src/worker/inference/ipc.ts'
import type { RunOutcome, RunTask } from '../../../../src/worker/inference/inference-process.ts'
import { CostModel } from '../../../../src/worker/scheduling/cost-model.ts'

/** Inference processes that compute when they are told to: the logit of a text is its length. */
class Processes implements Inference {
  readonly runs: Array<{ order: RunTask; settle: (end: RunOutcome) => void }> = []
  readonly #rooms: number
  readonly #deep: number

  /** @param deep runs that a process may have at a time. */
  constructor(rooms: number, deep: number) {
    this.#rooms = rooms
    this.#deep = deep
  }

  get hasRoom(): boolean {
    return this.runs.length < this.#rooms * this.#deep
  }

  get isIdle(): boolean {
    return this.runs.length < this.#rooms
  }

  run(order: RunTask): Promise<RunOutcome> {
    return new Promise((settle) => this.runs.push({ order, settle }))
  }

  /** Ends the oldest run. */
  async end(kind: 'ran' | 'crash' | 'timeout' | 'bystander'): Promise<void> {
    const run = this.runs.shift()
    if (!run) throw new Error('nothing runs')
    if (kind === 'ran') run.settle({ kind, columns: computed(run.order.columns.texts), ms: 5 })
    else if (kind === 'bystander') run.settle({ kind: 'lost', cause: 'crash', blamed: false })
    else run.settle({ kind: 'lost', cause: kind, blamed: true })
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

function setUp(rooms = 1, more: Partial<ConstructorParameters<typeof Dispatcher>[0]> = {}, deep = 1) {
  const processes = new Processes(rooms, deep)
  const costModel = new CostModel({ processes: rooms, maxRunTokens: 100 })
  costModel.calibrate('cola', { overheadMs: 1, tokenMs: 0.1 })
  const dispatcher = new Dispatcher({
    inference: processes,
    costModel,
    maxTokens: () => 512,
    maxBulkProcesses: 1,
    runTimeout: undefined,
    events: noEvents,
    now: () => 1_000,
    ...more,
  })
  return { processes, dispatcher }
}

const order = (texts: string[], more: Partial<JobTexts> = {}): JobTexts => ({
  model: 'cola',
  lane: 'interactive',
  items: texts.map((text) => ({ text })),
  truncate: 'right',
  createdAt: 990,
  deadline: undefined,
  ...more,
})

const logitsOf = (row: Row) => ('logits' in row ? row.logits : row.error.code)

describe('an order', () => {
  it('gets its rows in its own order', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(order(['a', 'a much longer text, which is in another run', 'bb']))
    await processes.end('ran')
    while (processes.runs.length > 0) await processes.end('ran')
    expect(await end).toMatchObject({ kind: 'done' })
    const { rows } = (await end) as { rows: Row[] }
    expect(rows.map(logitsOf)).toEqual([[1], [43], [2]])
    expect(rows[0]).toMatchObject({ tokens: 3, ms: { queue: 10 }, run: 3 })
  })

  it('keeps the error of one text to that text', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(order(['good', 'bad', 'fine']))
    await processes.end('ran')
    expect(((await end) as { rows: Row[] }).rows.map(logitsOf)).toEqual([[4], 'Backend', [4]])
  })

  it('sends partners only where there are some', async () => {
    const { processes, dispatcher } = setUp(2)
    dispatcher.submit(order(['a']))
    dispatcher.submit(order([], { items: [{ text: 'a', pair: 'b' }, { text: 'c' }] }))
    expect(processes.runs[0]?.order.columns).toEqual({ texts: ['a'], truncate: ['right'] })
    expect(processes.runs[1]?.order.columns.pairs?.toSorted()).toEqual(['b', undefined])
  })

  it('is killed after 20 times what it should take, but not before 2 s', () => {
    const { processes, dispatcher } = setUp()
    dispatcher.submit(order(['a']))
    expect(processes.runs[0]?.order.timeoutMs).toBe(2_000)
  })

  it('that is not started by its deadline never runs', async () => {
    const clock = { now: 1_000 }
    const { processes, dispatcher } = setUp(1, { now: () => clock.now })
    dispatcher.submit(order(['a']))
    const late = dispatcher.submit(order(['b'], { deadline: 1_500 }))
    clock.now = 2_000
    await processes.end('ran')
    expect(await late.end).toEqual({ kind: 'expired' })
    expect(processes.runs).toHaveLength(0)
  })

  it('stops at the next run when it is canceled', async () => {
    const { processes, dispatcher } = setUp()
    const long = 'a long text that fills a run. '.repeat(8)
    const canceled = dispatcher.submit(order([long, long, long]))
    canceled.cancel()
    expect(await canceled.end).toEqual({ kind: 'canceled' })
    await processes.end('ran')
    expect(processes.runs).toHaveLength(0)
  })
})

describe('bulk', () => {
  const bulk = (count: number) => order(Array<string>(count).fill('a text of a batch'), { lane: 'bulk' })
  const lanes = ({ runs }: Processes) => runs.map(({ order: { columns } }) => (columns.texts[0] === 'a' ? 'i' : 'b'))

  it('has every process, and a run waiting at each, while nobody else is there', () => {
    const { processes, dispatcher } = setUp(2, {}, 2)
    dispatcher.submit(bulk(200))
    expect(lanes(processes)).toEqual(['b', 'b', 'b', 'b'])
  })

  it('leaves one process to people while they are about, and puts no run behind another', async () => {
    const { processes, dispatcher } = setUp(3, { maxBulkProcesses: 2 }, 2)
    const { end } = dispatcher.submit(order(['a']))
    dispatcher.submit(bulk(200))
    expect(lanes(processes)).toEqual(['i', 'b', 'b'])
    await processes.end('ran')
    await end
    expect(lanes(processes)).toEqual(['b', 'b'])
    dispatcher.submit(order(['a']))
    expect(lanes(processes)).toEqual(['b', 'b', 'i'])
  })

  it('runs in the only process as well, as long as that has nothing else to do', async () => {
    const { processes, dispatcher } = setUp(1, {}, 2)
    dispatcher.submit(order(['a']))
    dispatcher.submit(bulk(200))
    expect(lanes(processes)).toEqual(['i'])
    await processes.end('ran')
    expect(lanes(processes)).toEqual(['b'])
  })
})

describe('closing', () => {
  it('hands back what is not finished, and what still comes', async () => {
    const { processes, dispatcher } = setUp()
    const first = dispatcher.submit(order(['a']))
    const second = dispatcher.submit(order(['b']))
    dispatcher.requeueAll()
    const third = dispatcher.submit(order(['c']))
    for (const { end } of [first, second, third]) expect(await end).toEqual({ kind: 'requeued' })
    await processes.end('ran')
    expect(processes.runs).toHaveLength(0)
  })
})

it('hands back the orders of a model that cannot be served any more, and no others', async () => {
  const { processes, dispatcher } = setUp()
  const gone = dispatcher.submit(order(['a', 'bb']))
  const other = dispatcher.submit(order(['ccc'], { model: 'other' }))
  dispatcher.requeueModel('cola')
  const late = dispatcher.submit(order(['a']))
  for (const { end } of [gone, late]) expect(await end).toEqual({ kind: 'requeued' })
  while (processes.runs.length > 0) await processes.end('ran')
  expect(await other.end).toMatchObject({ kind: 'done', rows: [{ logits: [3] }] })
})

describe('a process that dies', () => {
  it('has its run done again text by text, and only who kills twice is the poison', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(order(['poison', 'a', 'bb']))
    await processes.end('crash')
    expect(processes.runs.map(({ order: { columns, suspect } }) => [columns.texts, suspect])).toEqual([
      [['poison'], true],
    ])
    await processes.end('crash')
    await processes.end('ran')
    await processes.end('ran')
    expect(((await end) as { rows: Row[] }).rows.map(logitsOf)).toEqual(['Backend', [1], [2]])
  })

  it('says so when it took too long', async () => {
    const { processes, dispatcher } = setUp()
    const { end } = dispatcher.submit(order(['slow']))
    await processes.end('timeout')
    await processes.end('timeout')
    expect(await end).toEqual({
      kind: 'done',
      rows: [{ error: { code: 'Backend', message: 'the model took too long for this text' } }],
    })
  })

  it('does not harm the run behind', async () => {
    const { processes, dispatcher } = setUp(2)
    dispatcher.submit(order(['poison']))
    const bystander = dispatcher.submit(order(['a']))
    const [poison, innocent] = processes.runs.splice(0)
    innocent?.settle({ kind: 'lost', cause: 'crash', blamed: false })
    poison?.settle({ kind: 'lost', cause: 'crash', blamed: true })
    await settled()
    const again = processes.runs.find(({ order: { columns } }) => columns.texts.includes('a'))
    expect(again?.order.suspect).toBe(false)
    again?.settle({ kind: 'ran', columns: computed(['a']), ms: 1 })
    expect(await bystander.end).toMatchObject({ kind: 'done' })
  })

  it('leaves room for others: only some processes look for the poison', async () => {
    const { processes, dispatcher } = setUp(2)
    dispatcher.submit(order(['p1', 'p2', 'p3']))
    await processes.end('crash')
    expect(processes.runs.filter(({ order: { suspect } }) => suspect)).toHaveLength(1)
    dispatcher.submit(order(['a']))
    expect(processes.runs.map(({ order: { suspect } }) => suspect)).toEqual([true, false])
  })

  it('forgets who was canceled meanwhile', async () => {
    const { processes, dispatcher } = setUp()
    const canceled = dispatcher.submit(order(['a']))
    canceled.cancel()
    await processes.end('crash')
    expect(processes.runs).toHaveLength(0)
  })
})

it('answers every text once, whatever dies', async () => {
  const fates = fc.array(fc.constantFrom('ran', 'crash', 'timeout', 'bystander'), { maxLength: 60 })
  const orders = fc.array(
    fc.array(fc.constantFrom('a', 'bb', 'a longer text, for another run', 'bad'), { minLength: 1, maxLength: 8 }),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  await fc.assert(
    fc.asyncProperty(orders, fates, fc.integer({ min: 1, max: 3 }), async (texts, ends, rooms) => {
      const { processes, dispatcher } = setUp(rooms)
      const computations = texts.map((each) => dispatcher.submit(order(each)))
      for (const end of ends) if (processes.runs.length > 0) await processes.end(end)
      while (processes.runs.length > 0) await processes.end('ran')
      for (const [index, { end }] of computations.entries()) {
        const { kind, rows } = (await end) as { kind: string; rows: Row[] }
        expect(kind).toBe('done')
        rows.forEach((row, place) => {
          const text = texts[index]?.[place] ?? ''
          expect([text === 'bad' ? 'Backend' : [text.length], 'Backend']).toContainEqual(logitsOf(row))
        })
      }
    }),
  )
})
