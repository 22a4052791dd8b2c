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
  ['src/logger.ts', './start.ts'],
  ['src/start.ts', './api/app.ts'],
  ['src/settings.ts', './api/app.ts'],
  ['src/queue/producer.ts', '../api/app.ts'],
  ['src/queue/producer.ts', '../records/lists.ts'],
  ['src/queue/producer.ts', '../start.ts'],
  ['src/records/lists.ts', '../worker/runs.ts'],
  ['src/records/lists.ts', '../fleet/cancel.ts'],
  ['src/fleet/depth.ts', '../batches/run.ts'],
  ['src/fleet/depth.ts', '../records/models.ts'],
  ['src/batches/run.ts', 'express'],
  ['src/batches/run.ts', '../api/app.ts'],
  ['src/batches/run.ts', '../worker/runs.ts'],
  ['src/webhooks/deliver.ts', 'express'],
  ['src/webhooks/deliver.ts', '../api/app.ts'],
  ['src/api/app.ts', '../worker/runs.ts'],
  ['src/api/routes/predict.ts', '../../worker/runs.ts'],
  ['src/api/app.ts', '../client/client.ts'],
  ['src/api/app.ts', 'onnxruntime-node'],
  ['src/api/app.ts', '@xenova/transformers'],
  ['src/api/service.ts', 'onnxruntime-node'],
  ['src/api/context.ts', '../worker/runs.ts'],
  ['src/api/service.ts', './main.ts'],
  ['src/api/context.ts', './service.ts'],
  ['src/api/app.ts', './service.ts'],
  ['src/api/routes/predict.ts', '../context.ts'],
  ['src/worker/consumer.ts', '../api/app.ts'],
  ['src/worker/consumer.ts', 'express'],
  ['src/worker/service.ts', 'express'],
  ['src/worker/service.ts', './main.ts'],
  ['src/worker/context.ts', './service.ts'],
  ['src/worker/consumer.ts', './service.ts'],
  ['src/worker/runs.ts', 'bullmq'],
  ['src/worker/runs.ts', './runtime/pool.ts'],
  ['src/worker/runs.ts', '../queue/job.ts'],
  ['src/worker/runs.ts', './consumer.ts'],
  ['src/worker/models/registry.ts', '../runtime/pool.ts'],
  ['src/worker/models/registry.ts', '../../api/app.ts'],
  ['src/worker/runtime/pool.ts', 'bullmq'],
  ['src/worker/runtime/pool.ts', 'ioredis'],
  ['src/worker/runtime/pool.ts', 'express'],
  ['src/worker/runtime/pool.ts', '../../queue/job.ts'],
  ['src/worker/runtime/pool.ts', '../consumer.ts'],
  ['src/client/client.ts', '../api/app.ts'],
  ['src/client/client.ts', '../api/schema.ts'],
  ['src/client/client.ts', '../env.ts'],
  ['src/client/client.ts', '../queue/job.ts'],
  ['src/cli/batch.ts', '../api/app.ts'],
  ['src/cli/batch.ts', '../worker/models/registry.ts'],
  ['src/cli/models.ts', '../queue/job.ts'],
  ['src/cli/models.ts', '../worker/consumer.ts'],
]

/** `[a file, what it may import]`; "type " in front: only its types. */
const allowed: [string, string][] = [
  ['src/env.ts', 'zod'],
  ['src/start.ts', './env.ts'],
  ['src/settings.ts', './worker/config.ts'],
  ['src/queue/producer.ts', '../errors.ts'],
  ['src/queue/producer.ts', './job.ts'],
  ['src/records/lists.ts', '../errors.ts'],
  ['src/fleet/depth.ts', '../logger.ts'],
  ['src/batches/run.ts', '../queue/producer.ts'],
  ['src/webhooks/deliver.ts', '../records/lists.ts'],
  ['src/api/main.ts', './service.ts'],
  ['src/api/service.ts', './context.ts'],
  ['src/api/context.ts', './coalescer.ts'],
  ['src/api/routes/predict.ts', 'type ../context.ts'],
  ['src/api/routes/predict.ts', '../../queue/producer.ts'],
  ['src/api/app.ts', 'express'],
  ['src/worker/main.ts', './service.ts'],
  ['src/worker/consumer.ts', './runtime/pool.ts'],
  ['src/worker/consumer.ts', '../queue/job.ts'],
  ['src/worker/consumer.ts', 'bullmq'],
  ['src/worker/runs.ts', '../errors.ts'],
  ['src/worker/runtime/pool.ts', '../models/registry.ts'],
  ['src/worker/runtime/pool.ts', '../../errors.ts'],
  ['src/worker/runtime/session.ts', 'onnxruntime-node'],
  ['src/client/client.ts', 'type ../api/schema.ts'],
  ['src/cli/batch.ts', '../client/client.ts'],
  ['src/cli/models.ts', '../worker/runtime/pool.ts'],
]

/** Rules about the code itself: `[rule, a file, what breaks it]`. */
const bites: [string, string, string][] = [
  ['import(no-default-export)', 'src/api/app.ts', 'export default 1'],
  ['oxc(no-barrel-file)', 'src/api/all.ts', "export * from './app.ts'"],
  ['node(no-process-env)', 'src/api/app.ts', "export const home = process.env['HOME']"],
  ['eslint(no-console)', 'src/api/app.ts', "console.log('text')"],
  ['unicorn(no-process-exit)', 'src/worker/consumer.ts', 'process.exit(1)'],
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
