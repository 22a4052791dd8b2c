import { readFileSync } from 'node:fs'
import type { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createApiMetrics, createWorkerMetrics } from '../../../src/telemetry/metrics.ts'

interface Metric {
  name: string
  help: string
  type: string
  labelNames: string[]
}

const operations = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
const sections = new Map(operations.split(/^### /m).map((section) => [section.split('\n')[0] ?? '', section]))
const programs = [
  { title: 'Metrics of the api', registry: createApiMetrics().registry },
  { title: 'Metrics of a worker', registry: createWorkerMetrics().registry },
]

describe.each(programs)('$title', ({ title, registry }) => {
  it('are listed in docs/operations.md', async () => {
    const rows = (sections.get(title) ?? '').split('\n').filter((line) => line.startsWith('| `'))
    expect(rows).toEqual((await ownMetrics(registry)).map(rowOf))
  })

  it('have names by the rules of Prometheus', async () => {
    const metrics = await registry.getMetricsAsJSON()
    const wrong = metrics.filter(({ name, type }) => {
      const isCounter = String(type) === 'counter'
      return name.endsWith('_total') !== isCounter || /_(?:count|sum|bucket|ms|kb|mb)$/.test(name)
    })
    expect(wrong.map(({ name }) => name)).toEqual([])
  })
})

/** @returns the metrics of inferq, without those of Node. */
async function ownMetrics(registry: Registry): Promise<Metric[]> {
  const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]))
  const declared = registry.getMetricsAsArray() as unknown as Metric[]
  return declared.flatMap((metric) => {
    return metric.name.startsWith('inferq_') ? [{ ...metric, type: types.get(metric.name) ?? '' }] : []
  })
}

function rowOf({ name, type, labelNames, help }: Metric): string {
  return `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ')} | ${help} |`
}
