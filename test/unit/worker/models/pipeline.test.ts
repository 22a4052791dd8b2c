// Scores by config.json alone equal those of Python's pipeline("text-classification") (test/fixtures/foreign).
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { defaultFunction, scoresOf } from '../../../../src/predict/scores.ts'
import { configFile, labelsFromConfig, problemTypeOf } from '../../../../src/worker/models/config-json.ts'

interface Row {
  config: object
  logits: number[]
  scores: Array<{ label: string | number; score: number }>
}

const { scores } = JSON.parse(readFileSync('test/fixtures/foreign/python.json', 'utf8')) as { scores: Row[] }

it.each(scores.map((row): [object, Row] => [row.config, row]))('%j', (given, { logits, scores }) => {
  const config = configFile.parse({ model_type: 'bert', ...given })
  const labels = labelsFromConfig(config)
  const values = scoresOf(logits, defaultFunction(problemTypeOf(config, labels.length)))
  const sorted = labels.map((label, index) => ({ label, score: values[index] ?? Number.NaN }))
  sorted.sort((a, b) => b.score - a.score)
  expect(sorted).toEqual(
    scores.map(({ label, score }) => ({ label: String(label), score: expect.closeTo(score, 5) as number })),
  )
})
