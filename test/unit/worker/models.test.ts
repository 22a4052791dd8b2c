import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readManifest } from '../../../src/worker/models/manifest.ts'
import { readRegistry } from '../../../src/worker/models/registry.ts'

const fixture = 'test/fixtures/models/tiny-fp32'
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-models-'))
  cpSync(fixture, join(dir, 'tiny'), { recursive: true })
})

afterEach(() => rmSync(dir, { recursive: true }))

const path = (...parts: string[]) => join(dir, 'tiny', ...parts)
const read = () => readManifest('tiny', path())
const config = { model_type: 'bert', id2label: { 0: 'no', 1: 'yes' }, max_position_embeddings: 512 }
const writeConfig = (more: object) => writeFileSync(path('config.json'), JSON.stringify({ ...config, ...more }))

describe('a folder', () => {
  it('tells what is served', async () => {
    writeFileSync(path('README.md'), '---\nlicense: mit\n---\n\n# Tiny\n\nA model.\n')
    expect(await read()).toMatchObject({
      name: 'tiny',
      dir: path(),
      revision: expect.stringMatching(/^[0-9a-f]{12}$/),
      problemType: 'single_label',
      labels: ['negative', 'positive'],
      maxTokens: 512,
      file: 'onnx/model.onnx',
      bytes: expect.any(Number),
      architecture: 'bert',
      card: '# Tiny\n\nA model.',
    })
  })

  it('is served quantised when it can be', async () => {
    cpSync(path('onnx/model.onnx'), path('onnx/model_quantized.onnx'))
    expect((await read()).file).toBe('onnx/model_quantized.onnx')
  })

  it.each([
    [{ problem_type: 'multi_label_classification' }, 'multi_label'],
    [{ problem_type: null }, 'single_label'],
    [{ id2label: { 0: 'LABEL_0' } }, 'regression'],
    [{ problem_type: 'regression' }, 'regression'],
  ])('with %j is %s', async (more, problemType) => {
    writeConfig(more)
    expect((await read()).problemType).toBe(problemType)
  })

  it('has its labels in the order of the outputs', async () => {
    const labels = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [String(11 - index), `label ${11 - index}`]),
    )
    writeConfig({ id2label: labels })
    expect((await read()).labels.slice(8)).toEqual(['label 8', 'label 9', 'label 10', 'label 11'])
  })

  it('without labels has the usual ones', async () => {
    writeConfig({ id2label: undefined })
    expect((await read()).labels).toEqual(['LABEL_0', 'LABEL_1'])
  })

  it.each([
    [{}, 1e30, 512],
    [{}, 128, 128],
    [{ max_position_embeddings: undefined }, 1e30, 512],
    [{ max_position_embeddings: undefined }, 2_048, 2_048],
    [{ model_type: 'roberta', max_position_embeddings: 514, pad_token_id: 1 }, 1e30, 512],
  ])('with %j and a tokenizer that takes %d takes %i tokens', async (more, model_max_length, maxTokens) => {
    writeConfig(more)
    writeFileSync(path('tokenizer_config.json'), JSON.stringify({ model_max_length }))
    expect((await read()).maxTokens).toBe(maxTokens)
  })
})

describe('a revision', () => {
  it('is the same for the same files, wherever they are and whatever the card says', async () => {
    const { revision } = await read()
    cpSync(path(), join(dir, 'copy'), { recursive: true })
    writeFileSync(join(dir, 'copy', 'README.md'), 'Another card.')
    expect((await readManifest('copy', join(dir, 'copy'))).revision).toBe(revision)
  })

  it.each([
    ['config.json', ' '],
    ['tokenizer_config.json', ' '],
    ['tokenizer.json', ' '],
    // A doc_string, as protobuf writes it.
    ['onnx/model.onnx', '\x32\x01x'],
    ['onnx/model.onnx_data', ' '],
    ['inferq.json', '{}'],
  ])('changes with %s', async (file, more) => {
    const { revision } = await read()
    writeFileSync(path(file), more, { flag: 'a' })
    expect((await read()).revision).not.toBe(revision)
  })
})

describe('a broken folder is refused with the file and the field:', () => {
  it.each([
    ['config.json', undefined, 'config.json is missing'],
    ['config.json', '{', /^config\.json cannot be read: /],
    ['config.json', '{}', /^config\.json: model_type: /],
    [
      'config.json',
      JSON.stringify({ ...config, id2label: {} }),
      /^config\.json: id2label: must name at least one label/,
    ],
    [
      'config.json',
      JSON.stringify({ ...config, id2label: { 0: 'a', 2: 'b' } }),
      /^config\.json: id2label: must name every output/,
    ],
    [
      'config.json',
      JSON.stringify({ ...config, id2label: { a: 'b' } }),
      /^config\.json: id2label: must name every output by its number/,
    ],
    [
      'config.json',
      JSON.stringify({ ...config, problem_type: 'sorting' }),
      /^config\.json: problem_type: must be single_label/,
    ],
    ['tokenizer.json', undefined, 'tokenizer.json is missing'],
    ['tokenizer.json', '{}', /^tokenizer\.json: model: /],
    ['tokenizer_config.json', undefined, 'tokenizer_config.json is missing'],
    ['tokenizer_config.json', '{"model_max_length": "long"}', /^tokenizer_config\.json: model_max_length: /],
    ['onnx/model.onnx', undefined, 'neither onnx/model_quantized.onnx nor onnx/model.onnx is there'],
    ['onnx/model.onnx', '', 'onnx/model.onnx is empty'],
  ])('%s %j', async (file, content, message) => {
    if (content === undefined) rmSync(path(file))
    else writeFileSync(path(file), content)
    await expect(read()).rejects.toThrow(message)
  })
})

describe('the registry', () => {
  it('serves what it can and says why it cannot serve the rest', async () => {
    cpSync(path(), join(dir, 'broken'), { recursive: true })
    writeFileSync(join(dir, 'broken', 'config.json'), '{}')
    cpSync(path(), join(dir, 'Wrong Name'), { recursive: true })
    cpSync(path(), join(dir, 'batches'), { recursive: true })
    mkdirSync(join(dir, 'only-onnx', 'onnx'), { recursive: true })
    const { models, refused } = await readRegistry(dir, [])
    expect(models.map(({ name }) => name)).toEqual(['tiny'])
    expect(refused.map(({ name }) => name)).toEqual(['Wrong Name', 'batches', 'broken', 'only-onnx'])
    expect(refused[2]?.reason).toContain('config.json: model_type')
    expect(refused[3]?.reason).toMatch(/^config\.json is missing; tokenizer\.json is missing; /)
  })

  it('passes over what is no model', async () => {
    mkdirSync(join(dir, 'training'))
    writeFileSync(join(dir, 'training', 'train.py'), '')
    writeFileSync(join(dir, 'README.md'), '')
    expect(await readRegistry(dir, [])).toMatchObject({ models: [{ name: 'tiny' }], refused: [] })
  })

  it('serves exactly what is asked for', async () => {
    cpSync(path(), join(dir, 'other'), { recursive: true })
    const { models, refused } = await readRegistry(dir, ['other', 'missing', 'other', 'owner/name', '../tiny'])
    expect(models.map(({ name }) => name)).toEqual(['other'])
    expect(refused).toEqual([
      { name: 'missing', reason: 'there is no such folder' },
      { name: 'owner/name', reason: expect.stringContaining('Hub') },
      { name: '../tiny', reason: expect.any(String) },
    ])
  })

  it('finds nothing in a folder that is not there', async () => {
    expect(await readRegistry(join(dir, 'nowhere'), [])).toEqual({ models: [], refused: [] })
  })
})
