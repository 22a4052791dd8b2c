import { expect, it } from 'vitest'
import { RowWriter } from '../../../../src/batches/output/output-row.ts'
import { invalid } from '../../../../src/errors.ts'

it('a row with many problems names the first ten, so that an error file stays small', () => {
  const problems = Array.from({ length: 100 }, (_, index) => ({ path: `inputs[${index}]`, message: 'must be a text' }))
  const { failed, line } = new RowWriter('0190f3f2-7c1e-7000-8000-000000000000').refused(0, 'row', invalid(problems))
  const { body, status_code } = (JSON.parse(line) as { response: { body: { errors: unknown[] }; status_code: number } })
    .response
  expect([failed, status_code, body.errors.length]).toEqual([true, 422, 10])
  expect(line.length).toBeLessThan(3_000)
})
