// The client of openapi-fetch with the types that openapi-typescript generates from /openapi.json.
// generated.ts copies this file next to the types, checks it with them, and runs it.
// @ts-check
import assert from 'node:assert/strict'
import createClient from 'openapi-fetch'

const { INFERQ_URL: baseUrl = '', INFERQ_KEY: key, INFERQ_MODEL: model = '', INFERQ_PAUSED_MODEL: paused } = process.env
/** @type {ReturnType<typeof createClient<import('./types.js').paths>>} */
const client = createClient({ baseUrl, headers: { Authorization: `Bearer ${key}` } })
const text = 'The boy is sitting on a bench'

/** @param {string} feature @param {() => Promise<void>} run */
async function check(feature, run) {
  const note = await run().then(
    () => '',
    (/** @type {Error} */ error) => error.message.slice(0, 200),
  )
  console.log(JSON.stringify({ feature, ok: note === '', note }))
}

await check('predict, and a typed problem', async () => {
  const { data } = await client.POST('/predict', { body: { inputs: [text, [text, text]], parameters: { top_k: 1 } } })
  assert.ok(Array.isArray(data) && data.length === 2)
  // @ts-expect-error A body needs inputs or text.
  const { error } = await client.POST('/predict', { body: {} })
  assert.equal(error?.status, 422)
  assert.ok(error?.errors?.[0]?.message)
})

await check('predictions: unfinished, canceled, succeeded', async () => {
  const made = await client.POST('/v1/predictions', { body: { model: paused, input: { text } } })
  const id = made.data?.id ?? ''
  assert.equal(made.data?.status, 'starting')
  const canceled = await client.POST('/v1/predictions/{id}/cancel', { params: { path: { id } } })
  assert.deepEqual([canceled.data?.status, canceled.data?.output], ['canceled', null])
  const waited = await client.POST('/v1/predictions', {
    body: { model, input: { text } },
    params: { header: { Prefer: 'wait=30' } },
  })
  assert.equal(waited.data?.status, 'succeeded')
})

await check('batches: unfinished, cancelled, list', async () => {
  const requests = [{ custom_id: 'a', body: { inputs: text, model: paused } }]
  const made = await client.POST('/v1/batches', { body: { requests, endpoint: '/predict', completion_window: '24h' } })
  const id = made.data?.id ?? ''
  const cancelled = await client.POST('/v1/batches/{id}/cancel', { params: { path: { id } } })
  assert.match(cancelled.data?.status ?? '', /^cancell/)
  const list = await client.GET('/v1/batches', { params: { query: { limit: 1 } } })
  assert.deepEqual([list.data?.data.length, typeof list.data?.has_more], [1, 'boolean'])
  const missing = await client.GET('/v1/batches/{id}', { params: { path: { id: 'batch_none' } } })
  assert.ok(missing.error && 'error' in missing.error && missing.error.error.message)
})

await check('models, info, metrics', async () => {
  const models = await client.GET('/v1/models')
  assert.ok(models.data?.data.some((each) => each.id === model && each.created > 0))
  assert.ok((await client.GET('/info')).data?.served_model_name)
  assert.match((await client.GET('/metrics', { parseAs: 'text' })).data ?? '', /inferq_/)
})
