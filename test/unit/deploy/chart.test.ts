// The Helm chart, as it is rendered with the default values and with those of a deployment for real use. The rendered files
// are in test/fixtures/helm, so that they are checked without helm; where helm is installed, they are compared with the chart:
//   helm template inferq deploy/helm/inferq --kube-version 1.32.0 --namespace inferq --set redis.password=golden
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readApiConfig } from '../../../src/api/config.ts'
import { operationRoutes } from '../../../src/api/routes/operations.ts'
import { settingsTable } from '../../../src/launcher/settings.ts'
import { VERSION } from '../../../src/package.ts'
import { LANES } from '../../../src/queue/names.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const fixtures = 'test/fixtures/helm'
const renderings = [
  { name: 'default', options: ['--set', 'redis.password=golden'] },
  { name: 'full', options: ['-f', `${fixtures}/full-values.yaml`] },
]

interface Probe {
  httpGet?: { path: string; port: string }
  periodSeconds: number
  failureThreshold?: number
}
interface Container {
  name: string
  command: string[]
  env: { name: string; value?: string; valueFrom?: object }[]
  ports: { name: string; containerPort: number }[]
  livenessProbe: Probe
  readinessProbe: Probe
  startupProbe?: Probe
  securityContext: object
  volumeMounts: { name: string; mountPath: string }[]
}
interface Resource {
  kind: string
  metadata: { name: string }
  spec: {
    selector: { matchLabels: Record<string, string> }
    replicas?: number
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        terminationGracePeriodSeconds: number
        securityContext: object
        containers: [Container]
        volumes?: { name: string }[]
      }
    }
    podSelector: { matchLabels: Record<string, string> }
    ingress: { from?: { podSelector?: { matchLabels: Record<string, string> } }[] }[]
    scaleTargetRef: { name: string }
    minReplicaCount: number
    triggers: { type: string; metadata: Record<string, string> }[]
  }
}

const read = (path: string) => readFileSync(join(root, path), 'utf8')

function rendered(name: string): Resource[] {
  return parseAllDocuments(read(`${fixtures}/${name}.yaml`)).flatMap((document) => {
    const resource = document.toJS() as Resource | null
    return resource === null ? [] : [resource]
  })
}

const ofKind = (resources: Resource[], kind: string) => resources.filter((resource) => resource.kind === kind)
const containerOf = ({ spec }: Resource) => spec.template.spec.containers[0]
const valueOf = ({ env }: Container, wanted: string) => env.find(({ name }) => name === wanted)?.value

describe.each(renderings)('the chart with the values "$name"', ({ name, options }) => {
  const resources = rendered(name)
  const deployments = ofKind(resources, 'Deployment')

  it('passes settings that exist', () => {
    const known = new Set(settingsTable.flatMap(({ settings }) => Object.values(settings).map((each) => each.name)))
    const passed = deployments.flatMap((each) => containerOf(each).env.map((variable) => variable.name))
    expect(passed.filter((variable) => !known.has(variable))).toEqual([])
    for (const each of deployments)
      expect(new Set(containerOf(each).env.map((v) => v.name)).size).toBe(containerOf(each).env.length)
  })

  it('probes routes that exist, on ports that are open', () => {
    const paths = operationRoutes.map(({ path }) => path)
    for (const each of deployments) {
      const { livenessProbe, readinessProbe, startupProbe, ports } = containerOf(each)
      for (const probe of [livenessProbe, readinessProbe, startupProbe]) {
        expect(paths).toContain(probe?.httpGet?.path)
        expect(ports.map((port) => port.name)).toContain(probe?.httpGet?.port)
      }
    }
  })

  it('lets a process finish: its pod lives longer than its shutdown, which is longer than the notice of load balancers', () => {
    for (const each of deployments) {
      const container = containerOf(each)
      const grace = valueOf(container, 'SHUTDOWN_GRACE')
      const delay = valueOf(container, 'STOP_DELAY') ?? '0s'
      const config = readApiConfig({ REDIS_URL: 'redis://x', SHUTDOWN_GRACE: grace, STOP_DELAY: delay })
      expect(each.spec.template.spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(config.shutdownGrace)
      expect(config.shutdownGrace).toBeGreaterThan(config.stopDelay + 5_000)
      if (container.name !== 'api') continue
      const { periodSeconds, failureThreshold = 3 } = container.readinessProbe
      expect(config.stopDelay).toBeGreaterThan(periodSeconds * failureThreshold * 1_000)
    }
  })

  it('has pods without rights, that write to mounted volumes alone', () => {
    for (const { spec } of [...deployments, ...ofKind(resources, 'StatefulSet')]) {
      const { securityContext, containers, volumes = [] } = spec.template.spec
      expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      expect(containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      const mounted = containers[0].volumeMounts.map((mount) => mount.name)
      expect(mounted).toEqual(expect.arrayContaining(volumes.map((volume) => volume.name)))
    }
  })

  it('selects the pods that it creates', () => {
    const pods = [...deployments, ...ofKind(resources, 'StatefulSet')].map(({ spec }) => spec.template.metadata.labels)
    const matches = (selector: Record<string, string>) =>
      pods.some((labels) => Object.entries(selector).every(([key, value]) => labels[key] === value))
    for (const { spec } of deployments) expect(matches(spec.selector.matchLabels)).toBe(true)
    for (const { spec } of ofKind(resources, 'PodDisruptionBudget'))
      expect(matches(spec.selector.matchLabels)).toBe(true)
    for (const { spec } of ofKind(resources, 'NetworkPolicy')) {
      expect(matches(spec.podSelector.matchLabels)).toBe(true)
      const from = spec.ingress.flatMap((rule) => rule.from ?? [])
      for (const { podSelector } of from) if (podSelector) expect(matches(podSelector.matchLabels)).toBe(true)
    }
  })

  it.skipIf(spawnSync('helm', ['version']).status !== 0)('is what helm renders', () => {
    const command = [
      'template',
      'inferq',
      'deploy/helm/inferq',
      '--kube-version',
      '1.32.0',
      '--namespace',
      'inferq',
      ...options,
    ]
    const { stdout, stderr } = spawnSync('helm', command, { cwd: root, encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(stdout).toBe(read(`${fixtures}/${name}.yaml`))
  })
})

describe('autoscaling', () => {
  const resources = rendered('full')
  const [scaler] = ofKind(resources, 'ScaledObject')

  it('starts and stops the workers of a pool, down to none, and sets no number of its own', () => {
    const target = ofKind(resources, 'Deployment').find(
      ({ metadata }) => metadata.name === scaler?.spec.scaleTargetRef.name,
    )
    expect(target?.spec).not.toHaveProperty('replicas')
    expect(scaler?.spec.minReplicaCount).toBe(0)
  })

  it('reads the seconds of work of each lane of each model', () => {
    const places = scaler?.spec.triggers.map(({ metadata }) => metadata['valueLocation'])
    const models = ['cola', String.raw`some-model\.v2`]
    expect(places).toEqual(models.flatMap((model) => LANES.map((lane) => `models.${model}.work_seconds.${lane}`)))
    expect(scaler?.spec.triggers[0]?.metadata['url']).toBe('http://inferq.inferq.svc:80/v1/queue')
  })
})

it('has the version of the package', () => {
  const chart = parseAllDocuments(read('deploy/helm/inferq/Chart.yaml'))[0]?.toJS() as Record<string, string>
  expect([chart['version'], chart['appVersion']]).toEqual([VERSION, VERSION])
})
