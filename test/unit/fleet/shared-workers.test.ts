// Expected times of models that share workers.
import type { Redis } from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import { FleetView, type ServedModel } from '../../../src/fleet/fleet.ts'
import type { Heartbeat } from '../../../src/fleet/heartbeat.ts'
import { type Lane, queueName } from '../../../src/queue/names.ts'

const source = vi.hoisted(() => ({ workers: [] as unknown[], records: [] as unknown[] }))
vi.mock('../../../src/fleet/heartbeat.ts', () => ({ readHeartbeats: async () => source.workers }))
vi.mock('../../../src/records/models.ts', () => ({ readModels: async () => source.records }))

interface Worker extends Partial<Heartbeat> {
  serves: string[]
}

/** The work in lanes: of each model and lane, milliseconds of one process by owner. */
type Work = Partial<Record<`${string} ${Lane}`, Record<string, number>>>

async function fleetOf(workers: Worker[], work: Work): Promise<FleetView> {
  const names = [...new Set(workers.flatMap(({ serves }) => serves))]
  source.records = names.map((name) => ({ name, revision: 'r', labels: [], maxTokens: 512 }))
  source.workers = workers.map(({ serves, ...more }, index) => ({
    id: String(index),
    state: 'running',
    processes: 1,
    models: serves.map((name) => ({ name, revision: 'r', capacity: 100, maxRunTokens: 1 })),
    refused: [],
    ...more,
  }))
  const fleet = new FleetView({} as Redis, () => undefined)
  await fleet.refresh()
  const loads = Object.entries(work).map(([key, owners]) => {
    const [model, lane] = key.split(' ') as [string, Lane]
    return [queueName(model, lane), { jobs: 1, owners: new Map(Object.entries(owners ?? {})) }] as const
  })
  fleet.load.endSample(new Map(loads))
  return fleet
}

function modelOf(fleet: FleetView, name = 'one'): ServedModel {
  const model = fleet.get(name)
  if (!model) throw new Error(`no model ${name}`)
  return model
}

const even = () => 1
const BOTH = [{ serves: ['one', 'two'] }]

describe('the wait of a new job', () => {
  it('contains the work of the same owner for other models of the workers', async () => {
    const fleet = await fleetOf(BOTH, { 'one async': { ann: 1_000 }, 'two async': { ann: 500, bob: 9_000 } })
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', even)).toBe(1_500 + 1_500)
    expect(fleet.wait(modelOf(fleet, 'two'), 'async', 'ann', even)).toBe(1_500 + 1_500)
    expect(fleet.wait(modelOf(fleet), 'async', 'eve', even)).toBe(0)
  })

  it('contains nothing of models on other workers', async () => {
    const fleet = await fleetOf([{ serves: ['one'] }, { serves: ['two'] }], {
      'one async': { ann: 1_000 },
      'two async': { ann: 500 },
      'two interactive': { bob: 700 },
    })
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', even)).toBe(1_000)
  })

  it('contains the part of a model that runs on the shared workers', async () => {
    const fleet = await fleetOf([...BOTH, { serves: ['two'] }], {
      'one async': { ann: 1_000 },
      'two async': { ann: 500 },
    })
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', even)).toBe(1_000 + 250)
    // Two workers serve it, and one of them all of the other model.
    expect(fleet.wait(modelOf(fleet, 'two'), 'async', 'ann', even)).toBe((500 + 1_000) / 2)
  })

  it('is shared by the processes of the workers that take jobs', async () => {
    const workers: Worker[] = [
      { serves: ['one'], processes: 3 },
      { serves: ['one'], processes: 5, state: 'quiet' },
    ]
    const fleet = await fleetOf(workers, { 'one async': { ann: 900 } })
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', even)).toBe(300)
  })

  it('contains the lanes above, of all models of the workers', async () => {
    const fleet = await fleetOf(BOTH, {
      'two interactive': { bob: 300 },
      'one async': { ann: 1_000 },
      'two bulk': { bob: 60_000 },
    })
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', even)).toBe(1_300)
    expect(fleet.wait(modelOf(fleet), 'interactive', 'ann', even)).toBe(0)
  })

  it('follows the weights, and the share of interactive work', async () => {
    const fleet = await fleetOf([{ serves: ['one', 'two'], interactiveShare: 0.5 }], {
      'one async': { ann: 1_000 },
      'two async': { bob: 9_000 },
    })
    const weightOf = (owner: string) => (owner === 'ann' ? 2 : 1)
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', weightOf)).toBe(2 * (1_000 + 500))
  })

  it('of known work before it has as much of the own work for other models at most', async () => {
    const fleet = await fleetOf(BOTH, { 'one async': { ann: 1_000 }, 'two async': { ann: 500 } })
    const wait = (before: number, work: number) => fleet.wait(modelOf(fleet), 'async', 'ann', even, { before, work })
    expect(wait(0, 0)).toBe(0)
    expect(wait(100, 50)).toBe(150 + 150)
    expect(wait(900, 0)).toBe(900 + 500)
    expect(fleet.wait(modelOf(fleet), 'async', 'ann', even, { work: 70 })).toBe(1_570)
  })
})

describe('the time to the start of a job with work before it', () => {
  it('has as much of the other models as runs in turns with it', async () => {
    const fleet = await fleetOf(BOTH, { 'one async': { ann: 5_000 }, 'two async': { ann: 300, bob: 400 } })
    expect(fleet.waitBehind(modelOf(fleet), 'async', 'ann', 500)).toBe(500 + 500)
    expect(fleet.waitBehind(modelOf(fleet), 'async', 'ann', 2_000)).toBe(2_000 + 700)
    expect(fleet.waitBehind(modelOf(fleet), 'async', 'ann', 0)).toBe(0)
  })

  it('has the lanes above', async () => {
    const fleet = await fleetOf(BOTH, { 'two interactive': { bob: 300 }, 'one interactive': { ann: 100 } })
    expect(fleet.waitBehind(modelOf(fleet), 'bulk', 'ann', 500)).toBe(900)
  })
})

describe('the time until a lane is empty', () => {
  it('has the work of all owners, and of all models of the workers', async () => {
    const fleet = await fleetOf([{ serves: ['one', 'two'], processes: 2 }], {
      'one async': { ann: 1_000, bob: 2_000 },
      'two async': { eve: 3_000 },
      'two interactive': { eve: 400 },
      'one bulk': { ann: 50_000 },
    })
    expect(fleet.drainTime(modelOf(fleet), 'async')).toBe(6_400 / 2)
    expect(fleet.drainTime(modelOf(fleet), 'interactive')).toBe(200)
  })

  it('is 0 without work, and without a worker that takes jobs', async () => {
    expect((await fleetOf(BOTH, {})).drainTime(modelOf(await fleetOf(BOTH, {})), 'async')).toBe(0)
    const quiet = await fleetOf([{ serves: ['one'], state: 'quiet' }], { 'one async': { ann: 1_000 } })
    expect(quiet.drainTime(modelOf(quiet), 'async')).toBe(0)
  })
})
