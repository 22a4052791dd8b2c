// A batch for cron: 0 1 * * *  node nightly-batch.mjs texts.txt labels.jsonl
// A second run of the same day, after a crash for example, continues with the same batch.
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Inferq } from 'inferq/client'

const [input, output] = process.argv.slice(2)
const inferq = new Inferq({ url: process.env.INFERQ_URL ?? 'http://localhost:8000', key: process.env.INFERQ_API_KEY })
const key = `nightly-${new Date().toISOString().slice(0, 10)}`

const texts = (await readFile(input, 'utf8')).split('\n').filter((text) => text.trim() !== '')
const lines = texts.map((text, at) => `${JSON.stringify({ custom_id: `line-${at}`, body: { inputs: text } })}\n`)
const file = await inferq.files.create({ filename: 'texts.jsonl', content: new Blob(lines), idempotencyKey: key })
// What is not finished after five hours expires, and is in the results as an error.
const created = await inferq.batches.create({ inputFileId: file.id, completionWindow: '5h', idempotencyKey: key })
const { status, request_counts: counts } = await inferq.batches.wait(created.id)

await pipeline(async function* () {
  for await (const line of inferq.batches.results(created.id)) yield `${JSON.stringify(line)}\n`
}, createWriteStream(output))
console.log(`${status}: ${counts.completed} of ${counts.total} lines, ${counts.failed} failed`)
process.exitCode = status === 'completed' && counts.failed === 0 ? 0 : 1
