// The replicate client for Node.
import assert from 'node:assert/strict'
import Replicate, { validateWebhook } from 'replicate'
import { type Check, EXPIRED_ID, LONG, receiveWebhook, type Target, TEXT, until } from './checks.ts'

export async function checkReplicate(target: Target, check: Check): Promise<void> {
  const { url, key, model, pausedModel } = target
  const client = new Replicate({ auth: key, baseUrl: `${url}/v1` })
  const input = { text: TEXT }
  const statusIs = (status: number) => (error: { response?: { status: number } }) => error.response?.status === status
  const ended = (id: string, status: string) =>
    until(`${status} of ${id}`, async () => {
      const prediction = await client.predictions.get(id)
      return prediction.status === status && prediction
    })

  await check('run: owner/name, owner/name:version; block and poll', async () => {
    const expected = await client.run(`any/${model}`, { input })
    assert.ok(Array.isArray(expected) && expected.length > 1)
    const version = (await client.models.get('any', model)).latest_version?.id ?? ''
    assert.deepEqual(await client.run(`any/${model}:${version}`, { input }), expected)
    assert.deepEqual(await client.run(`any/${model}`, { input, wait: { mode: 'poll', interval: 50 } }), expected)
  })
  await check('models and versions: get, list', async () => {
    const { latest_version: latest } = await client.models.get('any', model)
    const versions = (await client.models.versions.list('any', model)) as unknown as { results: { id: string }[] }
    assert.equal(versions.results[0]?.id, latest?.id)
    assert.equal((await client.models.versions.get('any', model, latest?.id ?? '')).id, latest?.id)
    assert.ok((await client.models.list()).results.some(({ name }) => name === model))
  })
  await check('stream: the output, and the error of a prediction that fails', async () => {
    const read = async (text: string) => {
      const events: string[] = []
      for await (const event of client.stream(`any/${model}`, { input: { text, truncate: false } }))
        events.push(event.event === 'output' ? event.data : event.event)
      return events
    }
    const expected = await client.run(`any/${model}`, { input })
    assert.deepEqual(await read(TEXT), [JSON.stringify(expected), 'done'])
    await assert.rejects(read(LONG), /could not be classified/)
  })
  await check('an unfinished prediction, then a canceled one', async () => {
    const made = await client.predictions.create({ model: `any/${pausedModel}`, input })
    assert.deepEqual([made.status, made.output], ['starting', null])
    assert.equal((await client.predictions.cancel(made.id)).status, 'canceled')
  })
  await check('an aborted prediction, of a caller that sends Cancel-After: get, list; wait needs a stop', async () => {
    const made = await fetch(`${url}/v1/predictions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', 'Cancel-After': '1s' },
      body: JSON.stringify({ model: pausedModel, input }),
    })
    const prediction = await ended(((await made.json()) as { id: string }).id, 'aborted')
    assert.deepEqual([prediction.output, prediction.logs], [null, ''])
    assert.ok(
      (await client.predictions.list()).results.some(({ id, status }) => id === prediction.id && status === 'aborted'),
    )
    let polls = 0
    const stop = async () => (polls += 1) === 3
    assert.equal((await client.wait(prediction, { interval: 10 }, stop)).status, 'aborted')
    assert.equal(polls, 3)
  })
  await check('succeeded, failed and expired predictions; list in pages', async () => {
    const made = await client.predictions.create({ model: `any/${model}`, input })
    await ended(made.id, 'succeeded')
    const bad = await client.predictions.create({ model: `any/${model}`, input: { text: LONG, truncate: false } })
    assert.ok((await ended(bad.id, 'failed')).error)
    await assert.rejects(client.predictions.get(EXPIRED_ID), statusIs(410))
    for await (const page of client.paginate(() => client.predictions.list())) assert.ok(Array.isArray(page))
  })
  await check('validateWebhook', async () => {
    const { headers, body, secret } = await receiveWebhook(target)
    const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`] ?? '')
    const validate = (text: string) => validateWebhook({ id, timestamp, signature, body: text, secret } as never)
    assert.deepEqual([await validate(body), await validate(`${body} `)], [true, false])
  })
  await check('deployments: predictions.create; errors: 401, 422', async () => {
    const made = await client.deployments.predictions.create('any', model, { input })
    await ended(made.id, 'succeeded')
    const stranger = new Replicate({ auth: 'wrong', baseUrl: `${url}/v1` })
    await assert.rejects(stranger.predictions.list(), statusIs(401))
    await assert.rejects(client.predictions.create({ model: `any/${model}`, input: { text: '' } }), statusIs(422))
  })
}
