// Fills a store with the texts of a batch and its rows as they are computed, across interruptions.
import { ApiError, callJson } from '../../api.js'
import { hasEnded } from '../state.js'
import { streamLines } from './lines.js'

/** Of a larger input file, only the first rows are shown with their texts. */
const MAX_INPUT_BYTES = 64_000_000
const PAUSE_MS = 2_000

/**
 * Resolves when the batch has ended and its rows are read, or when they can never be.
 * @param {any} batch
 * @param {import('./row-store.js').RowStore} store
 * @param {{signal: AbortSignal, onProblem: (message: string | undefined) => void}} options `onProblem` gets undefined when
 *   rows arrive again
 */
export async function follow(batch, store, { signal, onProblem }) {
  await Promise.all([readInputs(batch, store, signal), readResults(batch, store, { signal, onProblem })])
}

/** @param {any} batch @param {import('./row-store.js').RowStore} store @param {AbortSignal} signal */
async function readInputs({ id, input_file_id: file }, store, signal) {
  let current = file
  // The input of a retry or of a URL exists a little later than its batch.
  for (let attempt = 0; attempt < 5 && !signal.aborted; attempt++) {
    try {
      const begun = store.texts.length
      let line = 0
      for await (const each of streamLines(`v1/files/${current}/content`, { signal, maxBytes: MAX_INPUT_BYTES })) {
        if (line++ >= begun) store.addInput(each)
      }
      return
    } catch {
      if (signal.aborted) return
      await pause(signal)
      current = (await callJson(`v1/batches/${id}`).catch(() => ({}))).input_file_id ?? file
    }
  }
}

/** @param {any} batch @param {import('./row-store.js').RowStore} store @param {Parameters<typeof follow>[2]} options */
async function readResults({ id }, store, { signal, onProblem }) {
  while (!signal.aborted) {
    try {
      for await (const line of streamLines(`v1/batches/${id}/results?follow=1&after=${store.length}`, { signal })) {
        store.addResult(line)
        onProblem(undefined)
      }
      if (hasEnded(await callJson(`v1/batches/${id}`, { signal }))) return
    } catch (error) {
      if (signal.aborted) return
      const isFinal = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429
      if (isFinal) return onProblem(error.message)
      onProblem('The connection is interrupted. The batch goes on at the server; the page connects again.')
    }
    await pause(signal)
  }
}

/** @param {AbortSignal} signal @returns {Promise<void>} */
function pause(signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PAUSE_MS)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
