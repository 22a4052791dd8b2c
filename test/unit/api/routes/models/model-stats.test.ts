import { expect, it } from 'vitest'
import { combineStats, modelStats } from '../../../../../src/api/routes/models/model-stats.ts'
import { assemble } from '../../../../../src/fleet/fleet.ts'
import type { Heartbeat } from '../../../../../src/fleet/heartbeat.ts'
import type { ModelRecord } from '../../../../../src/records/models.ts'

const reported = { name: 'm', revision: 'r', capacity: 100, maxRunTokens: 200 }

it('sums the throughput of workers by length, and takes the maximum of the other values', () => {
  const first = { ...reported, speeds: [{ tokens: 128, textsPerSecond: 10 }], movement: 0.0123456 }
  const speeds = [
    { tokens: 8, textsPerSecond: 99.6 },
    { tokens: 128, textsPerSecond: 12 },
  ]
  expect(combineStats([first, { ...reported, maxRunTokens: 300, speeds, movement: 0 }])).toEqual({
    texts_per_second_by_length: [
      { tokens: 8, texts_per_second: 100 },
      { tokens: 128, texts_per_second: 22 },
    ],
    max_run_tokens: 300,
    neighbour_movement: 0.0123,
  })
})

it('accepts heartbeats of older workers', () => {
  expect(combineStats([reported])).toEqual({
    texts_per_second_by_length: [],
    max_run_tokens: 200,
    neighbour_movement: null,
  })
})

it('counts the current revision on workers that take jobs only', () => {
  const worker = (id: string, revision: string, state: Heartbeat['state']): Heartbeat => ({
    id,
    host: 'h',
    version: '1',
    startedAt: 0,
    state,
    models: [{ ...reported, revision, maxRunTokens: Number(id), movement: 0 }],
    refused: [],
    slots: { interactive: 1, bulk: 1 },
  })
  const record: ModelRecord = {
    name: 'm',
    revision: 'r',
    problemType: 'single_label',
    labels: ['a', 'b'],
    maxTokens: 512,
    file: 'onnx/model.onnx',
    bytes: 1,
    architecture: 'bert',
    card: '',
  }
  const measure = (...workers: Heartbeat[]) => {
    const model = assemble(workers, [record]).get('m')
    return model && modelStats(model)
  }
  expect(measure(worker('1', 'r', 'running'), worker('2', 'old', 'running'), worker('3', 'r', 'quiet'))).toMatchObject({
    max_run_tokens: 1,
    neighbour_movement: 0,
  })
  expect(measure()).toMatchObject({ max_run_tokens: null, neighbour_movement: null })
})
