import { describe, expect, it } from 'vitest'
import { createEndpoints } from '../../../src/batches/endpoints.ts'
import { assemble, type FleetView } from '../../../src/fleet/fleet.ts'
import type { ModelRecord } from '../../../src/records/models.ts'

const record = (name: string, revision: string) => ({ name, revision, labels: ['a'] }) as ModelRecord

/** Nobody is alive; these models were published in the last days. */
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

describe('the model that a line of a batch means', () => {
  const endpoints = endpointsOf(record('cola', 'new'), record('cola', 'old'))

  it.each([
    [undefined, { model: 'cola' }],
    ['any/cola', { model: 'cola' }],
    ['cola@old', { model: 'cola', revision: 'old' }],
  ])('%j is known although no worker serves it now', async (wanted, target) => {
    expect(await endpoints.target(wanted)).toEqual(target)
  })

  it.each(['cola@never', 'cola@', 'other', '../cola'])('%j is none: nobody ever published it', async (wanted) => {
    await expect(endpoints.target(wanted)).rejects.toMatchObject({ status: 404 })
  })

  it('cannot be known before anybody has published a model', async () => {
    await expect(endpointsOf().target('cola')).rejects.toThrow('no model is known yet')
  })
})
