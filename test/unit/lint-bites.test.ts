// The linter keeps the directions of imports. A rule that no longer bites looks like one that holds, so each is tried
// on a file that breaks it, and on one that does not.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** `[a file, what it must not import]` */
const forbidden: [string, string][] = [
  ['src/env.ts', './queue/job.ts'],
  ['src/telemetry/metrics.ts', '../redis/keys.ts'],
  ['src/validation/check.ts', '../predict/body.ts'],
  ['src/redis/keys.ts', '../queue/names.ts'],
  ['src/redis/keys.ts', '../records/ids.ts'],
  ['src/queue/producer.ts', '../api/app.ts'],
  ['src/queue/producer.ts', '../records/lists.ts'],
  ['src/records/lists.ts', '../queue/names.ts'],
  ['src/records/lists.ts', '../fleet/depth.ts'],
  ['src/fleet/depth.ts', '../predict/answers.ts'],
  ['src/fleet/depth.ts', '../worker/engine.ts'],
  ['src/predict/admission.ts', '../batches/batch.ts'],
  ['src/predict/admission.ts', '../api/context.ts'],
  ['src/predict/admission.ts', 'express'],
  ['src/batches/batch-run.ts', 'express'],
  ['src/batches/batch-run.ts', '../api/app.ts'],
  ['src/batches/input/jsonl.ts', '../../worker/engine.ts'],
  ['src/webhooks/outbox.ts', '../api/context.ts'],
  ['src/webhooks/outbox.ts', '../batches/batch.ts'],
  ['src/webhooks/outbox.ts', 'express'],
  ['src/api/app.ts', '../worker/engine.ts'],
  ['src/api/app.ts', '../client/client.ts'],
  ['src/api/app.ts', '../launcher/stack.ts'],
  ['src/api/app.ts', 'onnxruntime-node'],
  ['src/api/app.ts', '@xenova/transformers'],
  ['src/api/app.ts', './main.ts'],
  ['src/api/http/router.ts', 'type ../context.ts'],
  ['src/api/http/router.ts', '../config.ts'],
  ['src/api/http/router.ts', '../routes/schema.ts'],
  ['src/api/http/router.ts', '../../predict/answers.ts'],
  ['src/api/http/router.ts', '../../redis/connection.ts'],
  ['src/api/http/router.ts', '../../records/predictions.ts'],
  ['src/api/http/router.ts', '../../fleet/fleet.ts'],
  ['src/api/http/guards/hosts.ts', '../router.ts'],
  ['src/api/http/guards/hosts.ts', 'type ../../config.ts'],
  ['src/api/http/guards/hosts.ts', '../../../records/ids.ts'],
  ['src/api/http/streams/sse.ts', '../router.ts'],
  ['src/api/http/streams/sse.ts', 'type ../../context.ts'],
  ['src/api/http/streams/sse.ts', '../../../predict/place-limiter.ts'],
  ['src/api/dashboard/dashboard.ts', 'type ../context.ts'],
  ['src/api/dashboard/dashboard.ts', '../routes/schema.ts'],
  ['src/api/routes/predict.ts', '../context.ts'],
  ['src/api/routes/predict.ts', '../app.ts'],
  ['src/api/routes/predict.ts', '../../worker/engine.ts'],
  ['src/api/routes/predict.ts', 'onnxruntime-node'],
  ['src/worker/engine.ts', '../api/app.ts'],
  ['src/worker/engine.ts', '../predict/answers.ts'],
  ['src/worker/engine.ts', 'express'],
  ['src/worker/service.ts', './main.ts'],
  ['src/worker/jobs/consumer.ts', '../service.ts'],
  ['src/worker/jobs/consumer.ts', 'express'],
  ['src/worker/scheduling/backlog.ts', 'bullmq'],
  ['src/worker/scheduling/backlog.ts', '../jobs/consumer.ts'],
  ['src/worker/scheduling/backlog.ts', '../engine.ts'],
  ['src/worker/scheduling/backlog.ts', '../../records/models.ts'],
  ['src/worker/inference/session.ts', 'bullmq'],
  ['src/worker/inference/session.ts', 'ioredis'],
  ['src/worker/inference/session.ts', '../../queue/job.ts'],
  ['src/worker/inference/session.ts', '../scheduling/backlog.ts'],
  ['src/worker/inference/tokenizer/tokenizer.ts', '../../engine.ts'],
  ['src/worker/models/registry.ts', '../inference/session.ts'],
  ['src/worker/models/registry.ts', '../engine.ts'],
  ['src/worker/models/registry.ts', '../../fleet/heartbeat.ts'],
  ['src/launcher/stack.ts', '../api/app.ts'],
  ['src/launcher/stack.ts', '../queue/names.ts'],
  ['src/launcher/stack.ts', '../worker/engine.ts'],
  ['src/client/client.ts', 'type ../api/routes/schema.ts'],
  ['src/client/client.ts', '../env.ts'],
  ['src/client/client.ts', 'node:buffer'],
  ['src/client/client.ts', 'zod'],
  ['src/client/calls/files.ts', '../../queue/job.ts'],
  ['src/client/calls/files.ts', '../../env.ts'],
  ['src/client/calls/files.ts', 'node:buffer'],
  ['src/cli/batch/command.ts', '../../api/app.ts'],
  ['src/cli/batch/command.ts', '../../worker/models/registry.ts'],
  ['src/cli/doctor/doctor.ts', '../../queue/names.ts'],
  ['src/cli/doctor/doctor.ts', '../../worker/engine.ts'],
  ['src/cli/models/check.ts', '../../queue/job.ts'],
  ['src/cli/models/check.ts', '../../worker/engine.ts'],
  ['src/cli/models/check.ts', '../../worker/jobs/consumer.ts'],
]

/** `[a file, what it may import]`; "type " in front: only its types. */
const allowed: [string, string][] = [
  ['src/env.ts', 'zod'],
  ['src/lifecycle.ts', './env.ts'],
  ['src/validation/check.ts', '../errors.ts'],
  ['src/predict/body.ts', '../validation/json-limits.ts'],
  ['src/redis/errors.ts', '../errors.ts'],
  ['src/queue/producer.ts', '../redis/errors.ts'],
  ['src/records/lists.ts', '../redis/keys.ts'],
  ['src/fleet/fleet.ts', '../queue/names.ts'],
  ['src/fleet/fleet.ts', '../records/models.ts'],
  ['src/predict/admission.ts', '../fleet/fleet.ts'],
  ['src/batches/endpoints.ts', '../predict/answers.ts'],
  ['src/webhooks/outbox.ts', '../records/deliveries.ts'],
  ['src/batches/batch-run.ts', './input/jsonl.ts'],
  ['src/api/main.ts', './service.ts'],
  ['src/api/service.ts', './context.ts'],
  ['src/api/context.ts', '../predict/predictions.ts'],
  ['src/api/app.ts', 'express'],
  ['src/api/http/router.ts', 'express'],
  ['src/api/http/router.ts', './guards/hosts.ts'],
  ['src/api/http/streams/sse.ts', '../route.ts'],
  ['src/api/http/guards/hosts.ts', '../../../errors.ts'],
  ['src/api/http/pagination.ts', '../../records/lists.ts'],
  ['src/api/http/problem.ts', '../../redis/errors.ts'],
  ['src/api/routes/predict.ts', 'type ../context.ts'],
  ['src/api/routes/predict.ts', '../http/route.ts'],
  ['src/api/routes/predict.ts', '../../predict/answers.ts'],
  ['src/worker/main.ts', './service.ts'],
  ['src/worker/jobs/consumer.ts', 'bullmq'],
  ['src/worker/jobs/consumer.ts', '../scheduling/dispatcher.ts'],
  ['src/worker/scheduling/dispatcher.ts', '../inference/ipc.ts'],
  ['src/worker/scheduling/dispatcher.ts', '../../queue/job.ts'],
  ['src/worker/inference/session.ts', 'onnxruntime-node'],
  ['src/worker/inference/session.ts', '../models/registry.ts'],
  ['src/worker/inference/ipc.ts', 'type ../../queue/job.ts'],
  ['src/worker/models/manifest.ts', '../../records/models.ts'],
  ['src/launcher/settings.ts', '../worker/config.ts'],
  ['src/launcher/stack.ts', '../redis/connection.ts'],
  ['src/launcher/given-models.ts', '../worker/models/hub.ts'],
  ['src/client/client.ts', './calls/files.ts'],
  ['src/client/calls/files.ts', '../http/http.ts'],
  ['src/cli/batch/command.ts', '../../client/client.ts'],
  ['src/cli/doctor/doctor.ts', '../../worker/models/registry.ts'],
  ['src/cli/doctor/redis.ts', '../../redis/usable.ts'],
  ['src/cli/models/check.ts', '../../worker/inference/classifier.ts'],
]

/** Rules about the code itself: `[rule, a file, what breaks it]`. */
const bites: [string, string, string][] = [
  ['import(no-default-export)', 'src/api/app.ts', 'export default 1'],
  ['oxc(no-barrel-file)', 'src/api/all.ts', "export * from './app.ts'"],
  ['node(no-process-env)', 'src/api/app.ts', "export const home = process.env['HOME']"],
  ['eslint(no-console)', 'src/api/app.ts', "console.log('text')"],
  ['unicorn(no-process-exit)', 'src/worker/engine.ts', 'process.exit(1)'],
  ['typescript(no-explicit-any)', 'src/api/app.ts', 'export const x: any = 1'],
  ['vitest(no-focused-tests)', 'test/unit/one.test.ts', "import { test } from 'vitest'\ntest.only('x', () => {})"],
]

let dir: string
let broken: Map<string, string[]>

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-lint-'))
  for (const [index, [file, source]] of cases().entries()) write(`${index}/${file}`, source)
  write('cycle/src/api/a.ts', "import { b } from './b.ts'\nexport const a = () => b\n")
  write('cycle/src/api/b.ts', "import { a } from './a.ts'\nexport const b = () => a\n")
  write('types/src/api/a.ts', "import type { B } from './b.ts'\nexport type A = B | 1\n")
  write('types/src/api/b.ts', "import type { A } from './a.ts'\nexport type B = A | 2\n")
  broken = await lint()
}, 60_000)

afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('a forbidden import fails', () => {
  test.each(forbidden)('%s importing %s', (file, target) => {
    expect(problemsOf(file, imports(target))).toContain('eslint(no-restricted-imports)')
  })
})

describe('an allowed import passes', () => {
  test.each(allowed)('%s importing %s', (file, target) => {
    expect(problemsOf(file, imports(target))).toEqual([])
  })
})

describe('a rule bites', () => {
  test.each(bites)('%s in %s: %s', (rule, file, source) => {
    expect(problemsOf(file, source)).toContain(rule)
  })

  test('a cycle of imports', () => {
    expect(broken.get('cycle/src/api/a.ts')).toContain('import(no-cycle)')
    expect(broken.get('types/src/api/a.ts')).toContain('import(no-cycle)')
  })
})

function cases(): [string, string][] {
  const importing = [...forbidden, ...allowed].map(([file, target]): [string, string] => [file, imports(target)])
  return [...importing, ...bites.map(([, file, source]): [string, string] => [file, source])]
}

function imports(target: string): string {
  const [, type, path] = /^(type )?(.*)$/.exec(target) ?? []
  return type
    ? `import type { Thing } from '${path}'\nexport type It = Thing\n`
    : `import { thing } from '${path}'\nexport const it = () => thing\n`
}

function problemsOf(file: string, source: string): string[] {
  const index = cases().findIndex(([otherFile, otherSource]) => otherFile === file && otherSource === source)
  return broken.get(`${index}/${file}`) ?? []
}

function write(path: string, source: string): void {
  // Each case is a tree of its own with its own configuration, so that one file may occur in many.
  const tree = join(dir, path.slice(0, path.indexOf('/')))
  mkdirSync(join(dir, dirname(path)), { recursive: true })
  copyFileSync('.oxlintrc.json', join(tree, '.oxlintrc.json'))
  writeFileSync(join(dir, path), `${source}\n`)
}

/** The rules that each file breaks. */
function lint(): Promise<Map<string, string[]>> {
  return new Promise((done, fail) => {
    const oxlint = resolve('node_modules/.bin/oxlint')
    execFile(oxlint, ['--format', 'json', '.'], { cwd: dir, maxBuffer: 1e8 }, (_, stdout, stderr) => {
      try {
        const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] }
        const rules = new Map<string, string[]>()
        for (const { code, filename } of diagnostics) rules.set(filename, [...(rules.get(filename) ?? []), code])
        done(rules)
      } catch {
        fail(new Error(`oxlint said: ${stdout}${stderr}`))
      }
    })
  })
}
