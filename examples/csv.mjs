// Labels a column of a CSV file of any size: node csv.mjs reviews.csv review > labeled.csv
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { parse } from 'csv-parse'
import { stringify } from 'csv-stringify'
import { Inferq } from 'inferq/client'

const [file, column] = process.argv.slice(2)
const inferq = new Inferq({ url: process.env.INFERQ_URL ?? 'http://localhost:8000', key: process.env.INFERQ_API_KEY })
const rows = createReadStream(file).pipe(parse({ columns: true, bom: true }))
const output = stringify({ header: true })
output.pipe(process.stdout)

// Rows are read as fast as their results are written, so the memory is constant.
for await (const { item, result } of inferq.batches.run(rows, { inputOf: (row) => row[column] })) {
  const [best] = Array.isArray(result) ? result : []
  const isReady = output.write({ ...item, label: best?.label, score: best?.score, error: result.error })
  if (!isReady) await once(output, 'drain')
}
output.end()
