import { expect, it } from 'vitest'
import { BatchRejectedError, follow } from '../../../../src/cli/batch/follow.ts'
import { type Retry, StreamEndedError } from '../../../../src/cli/batch/reconnect.ts'
import type { Inferq } from '../../../../src/client/client.ts'
import { ConnectionError } from '../../../../src/client/errors.ts'
import type { Batch, BatchLine } from '../../../../src/client/types.ts'
import { collect } from '../../../helpers/collect.ts'

const line = (id: number): BatchLine => ({ id: `${id}`, custom_id: `row-${id}`, response: null, error: null })

/** Retries without a pause. */
const retry: Retry = async (task) => {
  for (;;) {
    try {
      return await task()
    } catch (error) {
      if (!(error instanceof StreamEndedError || error instanceof ConnectionError)) throw error
    }
  }
}

/** Each connection yields its lines and then ends, or fails where it has an error. */
function followed(connections: (BatchLine | Error)[][], batch: Partial<Batch> = {}) {
  const offsets: number[] = []
  async function* results(_id: string, { after }: { after: number }) {
    offsets.push(after)
    for (const item of connections.shift() ?? []) {
      if (item instanceof Error) throw item
      yield item
    }
  }
  const inferq = { batches: { results, get: async () => ({ id: 'batch_1', status: 'in_progress', ...batch }) } }
  const signal = new AbortController().signal
  const options = { inferq: inferq as unknown as Inferq, batchId: 'batch_1', rows: 3, skip: 0, signal, retry }
  return { options, offsets }
}

it('continues after the last received line', async () => {
  const lost = new ConnectionError('http://localhost', new Error('ECONNRESET'))
  const { options, offsets } = followed([[line(1), lost], [lost], [], [line(2)], [line(3)]])
  expect((await collect(follow(options))).flat()).toEqual([line(1), line(2), line(3)])
  expect(offsets).toEqual([0, 1, 1, 1, 2])
})

it('skips the rows that are already written', async () => {
  const { options, offsets } = followed([[line(3)]])
  expect(await collect(follow({ ...options, skip: 2 }))).toEqual([[line(3)]])
  expect(offsets).toEqual([2])
})

it('reads once more after the end of the batch, then throws when rows are missing', async () => {
  const { options, offsets } = followed([[line(1)], [], [], []], { status: 'completed' })
  await expect(collect(follow(options))).rejects.toThrow('batch_1 is completed with 1 of its 3 rows; try --restart')
  expect(offsets).toEqual([0, 1, 1])
})

it('throws the reasons for which the server rejected the batch', async () => {
  const { options } = followed([[]], { status: 'failed', errors: { data: [{ line: 2, message: 'is not JSON' }] } })
  const error = await collect(follow(options)).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BatchRejectedError)
  expect((error as Error).message).toBe('the server rejected the batch batch_1:\n  row 2: is not JSON')
})
