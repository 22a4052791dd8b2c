import type { Redis } from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import { assemble, FleetView, isLive } from '../../../src/fleet/fleet.ts'
import type { Heartbeat } from '../../../src/fleet/heartbeat.ts'
import type { ModelRecord } from '../../../src/records/models.ts'

const record = (name: string, revision: string): ModelRecord => ({
  name,
  revision,
  problemType: 'single_label',
  labels: ['a', 'b'],
  maxTokens: 512,
  file: 'onnx/model.onnx',
  bytes: 1,
  architecture: 'bert',
  card: '',
})
const worker = (id: string, name: string, revision: string, state: Heartbeat['state'] = 'running'): Heartbeat => ({
  id,
  host: 'h',
  version: '1',
  startedAt: 0,
  state,
  models: [{ name, revision, capacity: 100, maxRunTokens: 1 }],
  refused: [],
  slots: { interactive: 1, bulk: 1 },
})

describe('assemble', () => {
  it('adds up the speed of the workers that take jobs', () => {
    const workers = [
      worker('1', 'm', 'r'),
      worker('2', 'm', 'r'),
      worker('3', 'm', 'r', 'quiet'),
      worker('4', 'n', 'r'),
    ]
    const model = assemble(workers, [record('m', 'r')]).get('m')
    expect([model?.workers.length, model?.capacity]).toEqual([3, 200])
  })

  it('takes a live revision for the current one, even when a later one was published', () => {
    const model = assemble([worker('1', 'm', 'old')], [record('m', 'new'), record('m', 'old')]).get('m')
    expect(model?.current.revision).toBe('old')
    expect(model && [isLive(model, 'old'), isLive(model, 'new')]).toEqual([true, false])
  })

  it('knows both revisions during an update, the newer one first', () => {
    const workers = [worker('1', 'm', 'old'), worker('2', 'm', 'new')]
    const model = assemble(workers, [record('m', 'new'), record('m', 'old')]).get('m')
    expect(model?.current.revision).toBe('new')
    expect([...(model?.records.keys() ?? [])]).toEqual(['new', 'old'])
  })

  it('keeps a model that no worker serves now', () => {
    expect(assemble([], [record('m', 'r')]).get('m')?.workers).toEqual([])
  })
})

describe('find', () => {
  it('reads Redis once for thousands of unknown names, and again later', async () => {
    let reads = 0
    const redis = {
      zrange: async () => {
        reads += 1
        return []
      },
    } as unknown as Redis
    const fleet = new FleetView(redis, () => undefined)
    for (let name = 0; name < 2_000; name += 1) expect(await fleet.find(`unknown-${name}`)).toBeUndefined()
    // A read asks for workers and for models.
    expect(reads).toBeLessThanOrEqual(2 * 10)
    const before = reads
    await vi.waitFor(async () => {
      await fleet.find('unknown-1')
      expect(reads).toBeGreaterThan(before)
    })
  })
})
