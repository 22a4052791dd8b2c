// What can be done with a batch.
import { callJson } from '../api.js'
import { randomKey } from './upload.js'

/** Its finished rows are kept. @param {any} batch @returns {Promise<void>} */
export async function cancelBatch({ id }) {
  await callJson(`v1/batches/${id}/cancel`, { method: 'POST' })
}

/** Creates a batch of the rows that failed or were never answered, and opens it. @param {any} batch @returns {Promise<void>} */
export async function retryBatch({ id }) {
  const made = await callJson(`v1/batches/${id}/retry`, { method: 'POST', headers: { 'Idempotency-Key': randomKey() } })
  location.hash = `#batches/${made.id}`
}
