// The alerts and the dashboard name metrics that exist, and each alert has a line in docs/operations.md.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createApiMetrics, createWorkerMetrics } from '../../../src/telemetry/metrics.ts'
import { FIRING, QUIET } from '../../fixtures/alerts.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Rule {
  alert: string
  expr: string
  labels: { severity: string }
  annotations: { summary: string }
}
interface Panel {
  id: number
  title: string
  targets?: { expr: string }[]
}

const { groups } = parse(read('deploy/prometheus/rules.yml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const { panels } = JSON.parse(read('deploy/grafana/inferq.json')) as { panels: Panel[] }
const expressions = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
]

/** Labels by the name of a time series. Prometheus adds job and instance, and `up`. */
const series = new Map<string, string[]>([['up', ['job', 'instance']]])
for (const { registry } of [createApiMetrics(), createWorkerMetrics()]) {
  const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]))
  for (const { name, labelNames } of registry.getMetricsAsArray() as unknown as {
    name: string
    labelNames: string[]
  }[]) {
    const labels = [...labelNames, 'job', 'instance']
    const isHistogram = types.get(name) === 'histogram'
    if (isHistogram) for (const part of ['bucket', 'sum', 'count']) series.set(`${name}_${part}`, [...labels, 'le'])
    else series.set(name, labels)
  }
}

describe('expressions of alerts and panels', () => {
  it.each(expressions)('of %s select series and labels that exist', (_title, expr) => {
    const selectors = [...expr.matchAll(/\b(up|(?:inferq|nodejs|process)_\w+)(?:\{(?<matchers>[^}]*)\})?/g)]
    expect(selectors.length).toBeGreaterThan(0)
    for (const { 1: name = '', groups: found } of selectors) {
      expect([...series.keys()]).toContain(name)
      const used = [...(found?.['matchers'] ?? '').matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label)
      const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(/,\s*/))
      expect([...(series.get(name) ?? []), ...grouped]).toEqual(expect.arrayContaining(used))
    }
  })
})

describe('alerts', () => {
  it('are listed in docs/operations.md, in their order', () => {
    const [, section = ''] = read('docs/operations.md').split('### Alerts\n')
    const rows = [...(section.split(/^### /m)[0] ?? '').matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)]
    expect(rows.map(([, name]) => name)).toEqual(rules.map(({ alert }) => alert))
  })

  it('have a severity and a sentence', () => {
    for (const { labels, annotations } of rules) {
      expect(['critical', 'warning']).toContain(labels.severity)
      expect(annotations.summary).not.toBe('')
    }
  })
})

describe('compose/observability.yaml', () => {
  it('mounts files that exist, and publishes ports of this machine only', () => {
    const { services } = parse(read('compose/observability.yaml')) as {
      services: Record<string, { volumes: string[]; ports: string[] }>
    }
    for (const { volumes, ports } of Object.values(services)) {
      const mounted = volumes.flatMap((volume) => (volume.startsWith('./') ? [volume.split(':')[0] as string] : []))
      expect(mounted.filter((path) => !existsSync(join(root, path)))).toEqual([])
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/)
    }
  })
})

const hasPromtool = spawnSync('promtool', ['--version']).status === 0

describe.skipIf(!hasPromtool)('promtool accepts', () => {
  it.each([
    ['the api', createApiMetrics],
    ['a worker', createWorkerMetrics],
  ] as const)('the metrics of %s', async (_who, create) => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await create().registry.metrics(),
    })
    expect(`${stdout}${stderr}`).toBe('')
    expect(status).toBe(0)
  })

  it('the rules and the configuration', () => {
    const { status, stderr } = spawnSync('promtool', [
      'check',
      'config',
      join(root, 'deploy/prometheus/prometheus.yml'),
    ])
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' })
  })

  it('that each alert fires, and none in a quiet hour', () => {
    expect(Object.keys(FIRING)).toEqual(rules.map(({ alert }) => alert))
    const seriesOf = (values: Record<string, string>) =>
      Object.entries(values).map(([name, each]) => ({ series: name, values: each }))
    const firing = 'count(ALERTS{alertstate="firing"}) by (alertname)'
    const testOf = (values: Record<string, string>, alerts: string[]) => ({
      interval: '1m',
      input_series: seriesOf(values),
      promql_expr_test: [
        {
          expr: firing,
          eval_time: '50m',
          exp_samples: alerts.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
        },
      ],
    })
    const tests = [...Object.entries(FIRING).map(([alert, values]) => testOf(values, [alert])), testOf(QUIET, [])]
    const folder = mkdtempSync(join(tmpdir(), 'inferq-rules-'))
    const input = { rule_files: [join(root, 'deploy/prometheus/rules.yml')], evaluation_interval: '1m', tests }
    writeFileSync(join(folder, 'tests.json'), JSON.stringify(input))
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', join(folder, 'tests.json')])
    rmSync(folder, { recursive: true })
    expect(`${stdout}${stderr}`).toContain('SUCCESS')
    expect(status).toBe(0)
  })

  it('the expressions of the dashboard', () => {
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    const records = queries.map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$model', '.*'),
    }))
    const input = JSON.stringify({ groups: [{ name: 'dashboard', rules: records }] })
    const folder = mkdtempSync(join(tmpdir(), 'inferq-rules-'))
    writeFileSync(join(folder, 'rules.json'), input)
    const { status, stderr } = spawnSync('promtool', ['check', 'rules', join(folder, 'rules.json')])
    rmSync(folder, { recursive: true })
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' })
  })
})
