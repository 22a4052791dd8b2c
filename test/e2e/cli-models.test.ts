// `inferq models`: valid folders, and five kinds of invalid ones.
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { FakeHub } from '../helpers/fake-hub.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type CliOptions, runCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

const TINY = resolve('test/fixtures/models/tiny-fp32')
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-models-'))
  cpSync(TINY, join(dir, 'mine'), { recursive: true })
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const models = (args: string[], options: CliOptions = {}) => runCli(['models', ...args], { cwd: dir, ...options })
const file = (path: string) => join(dir, 'mine', path)
function editJson(path: string, change: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(readFileSync(file(path), 'utf8')) as Record<string, unknown>
  change(json)
  writeFileSync(file(path), JSON.stringify(json))
}

describe('check', () => {
  it('prints the description, speed and score stability of a valid model', async () => {
    const { code, stdout } = await models(['check', 'mine'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^mine@[0-9a-f]{12}: onnx\/model\.onnx, 435\.\d kB, bert\n/)
    expect(stdout).toContain('labels negative, positive; at most 512 tokens')
    expect(stdout.match(/^ +(8|32|128|512) tokens +[\d,]+ texts\/s$/gm)).toHaveLength(4)
    expect(stdout).toContain("a text's scores do not depend on its neighbors")
  })

  it('prints JSON, of a model that cannot be served its problems', async () => {
    const { code, stdout } = await models(['check', 'mine', '--json'])
    const { speed, ...checked } = JSON.parse(stdout)
    expect([code, checked, speed.length]).toMatchObject([
      0,
      { problems: [], name: 'mine', labels: ['negative', 'positive'] },
      4,
    ])
    rmSync(file('tokenizer.json'))
    const broken = await models(['check', 'mine', '--json'])
    expect([broken.code, JSON.parse(broken.stdout)]).toEqual([
      1,
      { problems: [expect.stringContaining('tokenizer.json is missing')] },
    ])
  })

  it.each<[string, () => void, RegExp]>([
    ['no tokenizer', () => rmSync(file('tokenizer.json')), /tokenizer\.json is missing/],
    ['an invalid ONNX file', () => writeFileSync(file('onnx/model.onnx'), 'not a model'), /onnx\/model\.onnx/],
    ['a truncated ONNX file', () => truncate('onnx/model.onnx'), /onnx\/model\.onnx is not a complete ONNX model/],
    [
      'external data outside the folder',
      () => appendFileSync(file('onnx/model.onnx'), externalData('../../../etc/passwd')),
      /external_data: "\.\.\/\.\.\/\.\.\/etc\/passwd" is outside the folder/,
    ],
    [
      'labels that do not match the output',
      () => editJson('config.json', (config) => (config['id2label'] = { 0: 'a', 1: 'b', 2: 'c' })),
      /2 logits a text; config\.json names 3 labels/,
    ],
  ])('reports %s in one line without a stack', async (_what, damage, message) => {
    damage()
    const { code, stderr } = await models(['check', 'mine'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)])
    expect(stderr).toMatch(/^inferq: mine cannot be served, one problem:\n {2}.*\n$/)
  })

  it('reports all problems together', async () => {
    rmSync(file('tokenizer.json'))
    editJson('config.json', (config) => (config['problem_type'] = 'guessing'))
    const { code, stderr } = await models(['check', 'mine'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/2 problems:\n.*problem_type.*\n.*tokenizer\.json/)])
  })

  it.each([
    ['int8-dynamic', undefined, /scores depend on its neighbors.*\n {2}Better: quantize the model statically/],
    ['gpt2', 5, /scores depend on its neighbors.*\n {2}Better: set pad_token_id in config\.json to the padding token/],
    ['gpt2', 1, /scores do not depend on its neighbors/],
  ])('advises on the cause when scores of %s, padded with %j, depend on neighbors', async (kind, pad, advice) => {
    cpSync(resolve('test/fixtures/kinds', kind), join(dir, 'mine'), { recursive: true })
    if (kind === 'int8-dynamic') rmSync(file('onnx/model.onnx'))
    editJson('config.json', (config) => (config['pad_token_id'] = pad ?? config['pad_token_id']))
    expect(await models(['check', 'mine'])).toMatchObject({ code: 0, stdout: expect.stringMatching(advice) })
  })

  it('reports a missing folder', async () => {
    expect(await models(['check', 'nope'])).toMatchObject({
      code: 1,
      stderr: 'inferq: nope: no such folder\n',
    })
  })
})

it('quantize prints commands with the paths of this folder', async () => {
  const { code, stdout } = await models(['quantize', 'mine'])
  expect(code).toBe(0)
  expect(stdout).toContain(`models/training/quantize.py ${join(dir, 'mine')} --lines TEXTS.txt`)
  renameSync(file('onnx/model.onnx'), file('model.onnx'))
  const flat = await models(['quantize', 'mine'])
  expect(flat.stdout).toContain(
    `mkdir -p ${join(dir, 'mine/onnx')} && mv ${join(dir, 'mine/model.onnx')}* ${join(dir, 'mine/onnx')}\n`,
  )
  rmSync(file('model.onnx'))
  expect(await models(['quantize', 'mine'])).toMatchObject({ code: 1, stderr: expect.stringContaining('optimum-cli') })
})

describe('add', () => {
  const add = (...args: string[]) => models(['add', ...args, '--models-dir', 'served'])

  it('copies the served files, and replaces a model only with --force', async () => {
    expect(await add('mine')).toMatchObject({ code: 0, stderr: expect.stringContaining('served as "mine"') })
    expect(readdirSync(join(dir, 'served', 'mine')).sort()).toEqual([
      'config.json',
      'onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    expect(await add('mine')).toMatchObject({ code: 1, stderr: expect.stringContaining('--force replaces it') })
    expect((await add('mine', '--force')).code).toBe(0)
    expect((await add('mine', '--name', 'other')).code).toBe(0)
    expect(readdirSync(join(dir, 'served')).sort()).toEqual(['mine', 'other'])
  })

  it('copies the layout of optimum, and the files that links of the Hugging Face cache lead to', async () => {
    renameSync(file('onnx/model.onnx'), file('model.onnx'))
    rmSync(file('onnx'), { recursive: true })
    expect(await models(['check', 'mine'])).toMatchObject({ code: 0 })
    const repository = join(dir, 'models--Some-One--Linked')
    const snapshot = join(repository, 'snapshots', 'a'.repeat(40))
    mkdirSync(snapshot, { recursive: true })
    renameSync(join(dir, 'mine'), join(repository, 'blobs'))
    for (const name of readdirSync(join(repository, 'blobs'))) {
      symlinkSync(join('../../blobs', name), join(snapshot, name))
    }
    expect(await add(snapshot)).toMatchObject({ code: 0, stderr: expect.stringContaining('served as "linked"') })
    const added = readdirSync(join(dir, 'served/linked'), { withFileTypes: true })
    expect(added.map((entry) => [entry.name, entry.isFile()])).toEqual(
      ['config.json', 'model.onnx', 'tokenizer.json', 'tokenizer_config.json'].map((name) => [name, true]),
    )
  })

  it('removes no file of the user with --force', async () => {
    const served = (path: string) => join(dir, 'served', 'mine', path)
    expect((await add('mine')).code).toBe(0)
    expect((await add('./served/../served/mine', '--name', 'mine', '--force')).code).toBe(1)
    const same = await add('served/mine', '--force')
    expect([same.code, same.stderr]).toEqual([1, expect.stringContaining('is in the models folder already')])
    for (const name of ['vocab.txt', 'onnx/checkpoint.bin']) writeFileSync(served(name), 'precious')
    const { code, stderr } = await add('mine', '--force')
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /has files that are not part of the model \((vocab\.txt, onnx\/checkpoint\.bin|onnx\/checkpoint\.bin, vocab\.txt)\)/,
      ),
    ])
    for (const name of ['vocab.txt', 'onnx/checkpoint.bin']) expect(readFileSync(served(name), 'utf8')).toBe('precious')
    for (const name of ['vocab.txt', 'onnx/checkpoint.bin']) rmSync(served(name))
    // A model that cannot be served is replaced too.
    truncateModel(served('onnx/model.onnx'))
    expect((await add('mine', '--force')).code).toBe(0)
    expect(readFileSync(served('onnx/model.onnx'))).toEqual(readFileSync(file('onnx/model.onnx')))
  })

  it('puts a model back whose replacement was interrupted', async () => {
    expect((await add('mine')).code).toBe(0)
    const staging = join(dir, 'served', '.adding-mine-abcdef')
    mkdirSync(staging)
    renameSync(join(dir, 'served', 'mine'), join(staging, 'old'))
    expect(await add('mine')).toMatchObject({ code: 1, stderr: expect.stringContaining('exists: --force replaces it') })
    expect(readdirSync(join(dir, 'served'))).toEqual(['mine'])
    expect((await add('mine', '--force')).code).toBe(0)
    expect(readdirSync(join(dir, 'served'))).toEqual(['mine'])
  })

  it('rejects invalid models and invalid names', async () => {
    expect((await add('mine', '--name', 'Not A Name')).code).toBe(1)
    expect((await add('mine', '--name', '../escaped')).code).toBe(1)
    rmSync(file('tokenizer.json'))
    expect((await add('mine')).code).toBe(1)
    expect(existsSync(join(dir, 'served'))).toBe(false)
  })

  it('rejects an argument that is neither a folder nor a model of the Hub', async () => {
    expect(await add('nope')).toMatchObject({ code: 2, stderr: expect.stringContaining('neither a folder nor') })
  })

  it('downloads a model of the Hub, with a token where it is required', async () => {
    const hub = await new FakeHub().start()
    hub.token = 'secret'
    const paths = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']
    const files = Object.fromEntries(paths.map((path) => [path, readFileSync(join(TINY, path))]))
    hub.repositories.set('Owner/Tiny', { commit: 'a'.repeat(40), files })
    const hubArgs = ['--hub', hub.url, '--cache', join(dir, 'cache')]
    const refused = await add('Owner/Tiny', ...hubArgs)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/cannot be fetched: .*HF_TOKEN/)])
    const { code, stderr } = await add('Owner/Tiny', ...hubArgs, '--token', 'secret')
    await hub.stop()
    expect([code, stderr]).toEqual([0, expect.stringMatching(/downloading onnx\/model\.onnx, 435\.\d kB\n/)])
    expect(readFileSync(join(dir, 'served/tiny/onnx/model.onnx'))).toEqual(files['onnx/model.onnx'])
  })

  it('reports a Hub that does not answer', async () => {
    const hub = `http://127.0.0.1:${await freePort()}`
    const { code, stderr } = await add('owner/name', '--hub', hub, '--cache', join(dir, 'cache'))
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^inferq: owner\/name cannot be fetched: .*\n$/)])
  })
})

describe('list', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ redisUrl: await emptyRedis() })
  })
  afterAll(() => stack.stop())

  it('prints the models of the server', async () => {
    const { code, stdout, stderr } = await models(['list'], { env: { INFERQ_URL: stack.url } })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^NAME .*\n(.*\n)*tiny-pairs +single_label +[0-9a-f]{12} +435\.\d kB +ready, 1 worker +entail/,
    )
  })

  it('prints the models of the folder, with a note, when the server does not answer', async () => {
    rmSync(file('tokenizer.json'))
    cpSync(TINY, join(dir, 'fine'), { recursive: true })
    const env = { INFERQ_URL: `http://127.0.0.1:${await freePort()}`, MODELS_DIR: '.' }
    const { code, stdout, stderr } = await models(['list', '--json'], { env })
    expect([code, stderr]).toEqual([0, expect.stringMatching(/does not answer .*; listing the models in \.\n$/)])
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([
      { id: 'fine', state: 'in_folder', labels: ['negative', 'positive'] },
      { id: 'mine', state: 'refused', reason: expect.stringContaining('tokenizer.json is missing') },
    ])
  })
})

function truncate(path: string): void {
  truncateModel(file(path))
}

function truncateModel(path: string): void {
  const content = readFileSync(path)
  writeFileSync(path, content.subarray(0, content.length / 2))
}

/** A second graph with one tensor of external data; concatenated protobuf messages are merged. */
function externalData(location: string): Buffer {
  const field = (number: number, content: Buffer | string) => {
    const bytes = Buffer.from(content)
    return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
  }
  return field(7, field(5, field(13, Buffer.concat([field(1, 'location'), field(2, location)]))))
}
