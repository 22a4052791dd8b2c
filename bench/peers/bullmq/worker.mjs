// A BullMQ worker that classifies the texts of one job after the other with ONNX Runtime on one thread.
import { readFileSync } from 'node:fs'
import { AutoTokenizer, env } from '@xenova/transformers'
import { Worker } from 'bullmq'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { connection } from './connection.mjs'

env.allowRemoteModels = false
env.localModelPath = '/'
const folder = process.env.MODEL
const { id2label } = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8'))
const tokenizer = await AutoTokenizer.from_pretrained(folder)
const session = await InferenceSession.create(`${folder}/onnx/model_quantized.onnx`, { intraOpNumThreads: 1 })

async function classify(texts) {
  const encoded = tokenizer(texts, { padding: true, truncation: true })
  const tensorOf = ({ type, data, dims }) => new Tensor(type, data, dims)
  const feed = Object.fromEntries(session.inputNames.map((name) => [name, tensorOf(encoded[name])]))
  const { logits } = await session.run(feed)
  const labels = logits.dims[1]
  return texts.map((_, row) => scoresOf(Array.from(logits.data.slice(row * labels, (row + 1) * labels))))
}

function scoresOf(logits) {
  const exponents = logits.map((logit) => Math.exp(logit - Math.max(...logits)))
  const sum = exponents.reduce((total, each) => total + each, 0)
  const scores = exponents.map((each, index) => ({ label: id2label[index], score: each / sum }))
  return scores.sort((a, b) => b.score - a.score)
}

const worker = new Worker('predict', (job) => classify(job.data.texts), { connection, concurrency: 4 })
worker.on('error', (error) => console.error(error.message))
