// Follows a prediction to its end, also over lost connections: node events.mjs "She saw him."
import { Inferq } from 'inferq/client'

const inferq = new Inferq({ url: process.env.INFERQ_URL ?? 'http://localhost:8000', key: process.env.INFERQ_API_KEY })
const { id } = await inferq.predictions.create(process.argv[2] ?? 'She saw him.', { cancelAfter: '1m' })

for await (const { event, data } of inferq.predictions.stream(id)) {
  if (event === 'queued') console.log(`waiting: place ${data.position}, about ${data.eta_seconds} s`)
  else if (event === 'output') for (const { label, score } of data) console.log(`${score.toFixed(4)}  ${label}`)
  else if (event === 'error') console.log(`failed: ${data.detail}`)
  else console.log(event)
}
