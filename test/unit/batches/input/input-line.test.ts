import { expect, it } from 'vitest'
import { createEndpoints } from '../../../../src/batches/endpoints.ts'
import { isProblem, readRequest } from '../../../../src/batches/input/input-line.ts'
import { RowWriter } from '../../../../src/batches/output/output-row.ts'
import { AppError } from '../../../../src/errors.ts'
import { createPredictSchemas } from '../../../../src/predict/body.ts'
import { hostileBodies } from '../../../helpers/hostile-bodies.ts'

const schemas = createPredictSchemas({ maxInputs: 1_000, maxTextChars: 100_000 })
const endpoints = createEndpoints({ config: { defaultModel: 'cola' }, fleet: {} as never }, schemas)
const writer = new RowWriter('0190f3f2-7c1e-7000-8000-000000000000')
const lines = hostileBodies(1_000_000).filter(([, route]) => !route.startsWith('/v1/'))

it.each(lines)('refuses %s at %s with a row of less than 64 kB', (_what, endpoint, body) => {
  const bytes = Buffer.from(`{"custom_id":"a","body":${body}}`)
  const read = readRequest({ number: 1, next: 0, bytes }, endpoint, schemas.limits)
  if (isProblem(read)) throw new Error(read.message)
  expect(read.customId).toBe('a')
  const error = refusalOf(() => {
    if (read.body instanceof AppError) throw read.body
    return endpoints.read(endpoint, read.body)
  })
  expect(error.status).toBe(422)
  expect(writer.refused(0, read.customId, error).line.length).toBeLessThan(64 * 1_024)
})

it('names the place of an excess as a request does', () => {
  const bytes = Buffer.from(`{"custom_id":"a","body":{"inputs":[${Array(1_001).fill('"a"').join(',')}]}}`)
  const read = readRequest({ number: 1, next: 0, bytes }, '/predict', schemas.limits)
  const message = 'inputs: has more than 1000 entries; send them in several requests, or as a batch'
  expect(read).toMatchObject({ customId: 'a', body: { status: 422, message } })
})

function refusalOf(action: () => unknown): AppError {
  try {
    action()
  } catch (error) {
    if (error instanceof AppError) return error
  }
  throw new Error('nothing was refused')
}
