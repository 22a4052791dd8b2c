// Express and BullMQ without more: a job a request, whose end is awaited with QueueEvents.
import { Queue, QueueEvents } from 'bullmq'
import express from 'express'
import { connection } from './connection.mjs'

const queue = new Queue('predict', { connection })
const events = new QueueEvents('predict', { connection })
const options = { removeOnComplete: true, removeOnFail: true }
const classify = async (texts) => (await queue.add('texts', { texts }, options)).waitUntilFinished(events, 30_000)

const app = express()
app.use(express.json({ limit: '1mb' }))
app.get('/predict', async (request, response) => response.json((await classify([request.query.text]))[0]))
app.post('/predict', async (request, response) => response.json(await classify(request.body.inputs)))
await events.waitUntilReady()
app.listen(Number(process.env.PORT), '127.0.0.1')
