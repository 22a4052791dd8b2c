// A service that labels comments: POST /comments {"text": "…"}. A call ends when its caller hangs up, and after 5 s.
import express from 'express'
import { Inferq, InferqError } from 'inferq/client'

const inferq = new Inferq({ url: process.env.INFERQ_URL ?? 'http://localhost:8000', key: process.env.INFERQ_API_KEY })
const app = express().use(express.json())

app.post('/comments', async (request, response) => {
  const hungUp = new AbortController()
  response.on('close', () => hungUp.abort())
  const signal = AbortSignal.any([hungUp.signal, AbortSignal.timeout(5_000)])
  try {
    const [best] = await inferq.predict(request.body?.text, { signal })
    response.json(best)
  } catch (error) {
    // A refusal of the text is for the caller; everything else is not the caller's fault.
    const isRefused = error instanceof InferqError && error.status === 422
    response.status(isRefused ? 422 : 503).json({ error: isRefused ? error.message : 'try again later' })
  }
})

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}`),
)
