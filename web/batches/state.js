// A batch as a reader sees it: its state, how far it is, and why it does not go on.
import { callJson } from '../api.js'
import { counted } from '../format.js'

const ENDED = ['completed', 'failed', 'expired', 'cancelled']
/** @type {Record<string, [string, string]>} */
const WORDS = {
  validating: ['checking the file', 'accent'],
  in_progress: ['running', 'accent'],
  finalizing: ['finishing', 'accent'],
  completed: ['completed', 'good'],
  failed: ['failed', 'bad'],
  expired: ['expired', 'warn'],
  cancelling: ['stopping', 'warn'],
  cancelled: ['cancelled', 'warn'],
}

/** @param {any} batch */
export function hasEnded({ status }) {
  return ENDED.includes(status)
}

/** The word and the color of its state. @param {any} batch @returns {[string, string]} */
export function stateOf({ status }) {
  return WORDS[status] ?? [status, '']
}

/** @param {any} batch @returns {string} */
export function nameOf({ metadata, id }) {
  return metadata?.name ?? id
}

/** Rows that have an answer or an error. @param {any} batch @returns {number} */
export function doneOf({ request_counts: { completed, failed } }) {
  return completed + failed
}

/** Whether some rows can be run again. @param {any} batch */
export function canRetry(batch) {
  const { total, completed, failed } = batch.request_counts
  return hasEnded(batch) && total > 0 && (failed > 0 || completed < total)
}

/** The model that its rows go to, unless each names its own. @param {any} batch @returns {string | undefined} */
function modelOf({ endpoint }) {
  return /^\/models\/(?:[^/]+\/)?([^/@]+)/.exec(endpoint)?.[1]
}

/**
 * Why a batch that runs has no new rows.
 * @param {any} batch
 * @param {any[]} others the batches of the same list
 * @returns {Promise<string>}
 */
export async function reasonOf(batch, others) {
  if (batch.status === 'validating') return 'The server checks the file before its first row.'
  const { models } = await callJson('v1/queue')
  const name = modelOf(batch)
  const queue = name === undefined ? undefined : models[name.toLowerCase()]
  if (name !== undefined && (queue === undefined || queue.workers === 0))
    return `It waits for a worker that serves ${name}.`
  const health = await callJson('health').catch(() => ({}))
  const full = health.warnings?.find((/** @type {string} */ warning) => warning.includes('batches wait'))
  if (full !== undefined) return `It waits: ${full}`
  const ahead = others.filter((each) => each.id !== batch.id && !hasEnded(each))
  const rows = ahead.reduce((sum, each) => sum + Math.max(0, each.request_counts.total - doneOf(each)), 0)
  if (rows > 0)
    return `It takes turns with ${counted(ahead.length, 'other batch').replace('batchs', 'batches')} of ${counted(rows, 'row')}.`
  if (queue && queue.depth.interactive > 0) return 'Calls that wait for their answer run first.'
  return 'It waits for its first rows.'
}
