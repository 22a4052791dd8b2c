// Accuracy of the shipped models through the running api, compared with their model cards. The data sets are not in the
// repository; models/training/README.md names their sources.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BenchModel, cola, sentiment, sentimentSmall } from './models.ts'
import type { Bench, Figure, Question } from './question.ts'
import { withStack } from './stack.ts'

interface Example {
  text: string
  label: string
}

interface DataSet {
  model: BenchModel
  /** Row name in the card's table. */
  title: string
  examples: Example[]
}

const TEXTS_A_REQUEST = 64

export const accuracy: Question = {
  name: 'accuracy',
  title: 'the dev sets through /predict, compared with the model cards (needs --cola and --sst2)',
  ask: async (bench) => {
    const sets = dataSets(bench)
    if (sets.length === 0) {
      bench.say('accuracy: not measured; name the data with --cola FOLDER or --sst2 FOLDER')
      return []
    }
    const models = [...new Set(sets.map(({ model }) => model))]
    return withStack(bench, models, async ({ url }) => {
      const figures: Figure[] = []
      for (const set of sets) figures.push(...(await measure(url, set)))
      return figures
    })
  },
}

function dataSets({ data }: Bench): DataSet[] {
  const sets: DataSet[] = []
  if (data.cola !== undefined) {
    const read = (file: string) => readRows(join(data.cola as string, file), ([, label, , text]) => ({ label, text }))
    const names = { '0': 'unacceptable', '1': 'acceptable' }
    sets.push({ model: cola, title: 'in-domain dev', examples: named(read('in_domain_dev.tsv'), names) })
    sets.push({ model: cola, title: 'out-of-domain dev', examples: named(read('out_of_domain_dev.tsv'), names) })
  }
  if (data.sst2 !== undefined) {
    const rows = readRows(join(data.sst2, 'dev.tsv'), ([label, text]) => ({ label, text })).slice(1)
    const examples = named(rows, { '0': 'negative', '1': 'positive' })
    for (const model of [sentiment, sentimentSmall]) sets.push({ model, title: 'dev', examples })
  }
  return sets
}

type Cells = Array<string | undefined>
type Row = { label: string | undefined; text: string | undefined }

function readRows(path: string, pick: (cells: Cells) => Row): Row[] {
  if (!existsSync(path)) throw new Error(`${path} is missing; models/training/README.md names the source of the data`)
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => pick(line.split('\t')))
}

function named(rows: Row[], names: Record<string, string>): Example[] {
  return rows.map(({ label = '', text = '' }) => ({ text: text.trim(), label: names[label] ?? label }))
}

async function measure(url: string, { model, title, examples }: DataSet): Promise<Figure[]> {
  const predicted = await predict(url, model.name, examples)
  const card = readFileSync(join(model.dir, 'README.md'), 'utf8')
  const right = examples.filter(({ label }, index) => predicted[index] === label).length / examples.length
  const positive = examples[0] ? [...new Set(examples.map(({ label }) => label))].sort()[0] : ''
  const truth = examples.map(({ label }) => label === positive)
  const matthews = correlation(
    truth,
    predicted.map((label) => label === positive),
  )
  const figure = (what: string, measured: number, metric: string): Figure => {
    const expected = cardFigure(card, title, metric)
    return {
      what: `${model.name}, ${title}, ${examples.length} texts: ${what}`,
      measured,
      unit: '',
      ...(expected === undefined ? {} : { budget: { card: expected } }),
    }
  }
  return [figure('Matthews correlation', matthews, 'Matthews'), figure('accuracy', right, 'accuracy')]
}

/** The likeliest label of each text. */
async function predict(url: string, model: string, examples: Example[]): Promise<string[]> {
  const labels: string[] = []
  for (let start = 0; start < examples.length; start += TEXTS_A_REQUEST) {
    const inputs = examples.slice(start, start + TEXTS_A_REQUEST).map(({ text }) => text)
    const answer = await fetch(`${url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, inputs, parameters: { top_k: 1 } }),
    })
    if (!answer.ok) throw new Error(`/predict answered ${answer.status}: ${await answer.text()}`)
    for (const [best] of (await answer.json()) as Array<[{ label: string }]>) labels.push(best.label)
  }
  return labels
}

/** Matthews correlation of two boolean columns, -1 to 1; 0 when one of them is constant. */
function correlation(truth: boolean[], predicted: boolean[]): number {
  const count = (actual: boolean, prediction: boolean) =>
    truth.filter((each, index) => each === actual && predicted[index] === prediction).length
  const [tp, tn, fp, fn] = [count(true, true), count(false, false), count(false, true), count(true, false)]
  const spread = Math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
  return spread === 0 ? 0 : (tp * tn - fp * fn) / spread
}

/** The int8 model's figure in the card's table: the row of the data set, the column `METRIC, int8`. */
function cardFigure(card: string, set: string, metric: string): number | undefined {
  const rows = card.split('\n').flatMap((line) => (line.startsWith('|') ? [cellsOf(line)] : []))
  const head = rows.findIndex((cells) => cells.some((cell) => cell === `${metric}, int8`))
  const column = rows[head]?.indexOf(`${metric}, int8`) ?? -1
  const cell = rows.slice(head + 1).find(([first]) => first === set)?.[column]
  return head < 0 || cell === undefined ? undefined : Number(cell)
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}
