import { describe, expect, it } from 'vitest'
import { createEndpoints } from '../../../src/batches/endpoints.ts'
import { assemble, type FleetView } from '../../../src/fleet/fleet.ts'
import type { ModelRecord } from '../../../src/records/models.ts'

const record = (name: string, revision: string) => ({ name, revision, labels: ['a'] }) as ModelRecord

/** No worker is alive; the records are published. */
function endpointsOf(...records: ModelRecord[]) {
  const models = assemble([], records)
  const fleet = {
    workers: [],
    models: () => [...models.values()],
    find: async (name: string) => models.get(name),
    findRevision: async (name: string, revision: string) => models.get(name)?.records.get(revision),
  } as unknown as FleetView
  return createEndpoints({ config: { defaultModel: 'cola' }, fleet }, {} as never)
}

describe('the model of a batch request', () => {
  const endpoints = endpointsOf(record('cola', 'new'), record('cola', 'old'))

  it.each([
    [undefined, { model: 'cola' }],
    ['any/cola', { model: 'cola' }],
    ['cola@old', { model: 'cola', revision: 'old' }],
  ])('%j is resolved without a live worker', async (name, target) => {
    expect(await endpoints.target(name)).toEqual(target)
  })

  it.each(['cola@never', 'cola@', 'other', '../cola'])('%j is not found: it was never published', async (name) => {
    await expect(endpoints.target(name)).rejects.toMatchObject({ status: 404 })
  })

  it('is unknown before the first model is published', async () => {
    await expect(endpointsOf().target('cola')).rejects.toThrow('no model is known yet')
  })
})
