// Receives webhooks, refuses those that are not authentic, and processes each event once.
import express from 'express'
import { Inferq, verifyWebhook, WebhookError } from 'inferq/client'

const inferq = new Inferq({ url: process.env.INFERQ_URL ?? 'http://localhost:8000', key: process.env.INFERQ_API_KEY })
const { key: secret } = await inferq.webhooks.secret()
// A service stores the ids with its results, for example in a column with a unique index.
const seen = new Set()

const app = express()
// The signature is of the bytes that were sent, so the body is not parsed before it is verified.
app.post('/inferq', express.raw({ type: 'application/json', limit: '1mb' }), async (request, response) => {
  try {
    const { id, status, output } = await verifyWebhook(request.body, request.headers, { secret })
    const event = request.headers['webhook-id']
    if (!seen.has(event)) console.log(`${id} ${status}: ${JSON.stringify(output)}`)
    seen.add(event)
    response.sendStatus(204)
  } catch (error) {
    if (!(error instanceof WebhookError)) throw error
    response.status(400).send(error.message)
  }
})

const server = app.listen(Number(process.env.PORT ?? 3001), '127.0.0.1', () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}/inferq`),
)
