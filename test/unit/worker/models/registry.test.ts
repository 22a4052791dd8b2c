import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inspectFolder, readManifest } from '../../../../src/worker/models/inspect.ts'
import { readOnnx } from '../../../../src/worker/models/onnx-file.ts'
import { readRegistry } from '../../../../src/worker/models/registry.ts'

const fixture = 'test/fixtures/models/tiny-fp32'
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-models-'))
  cpSync(fixture, join(dir, 'tiny'), { recursive: true })
})

afterEach(() => rmSync(dir, { recursive: true }))

const path = (...parts: string[]) => join(dir, 'tiny', ...parts)
const read = () => readManifest('tiny', path())
const noHub = () => Promise.reject(new Error('no model of the Hub is expected'))
const config = { model_type: 'bert', id2label: { 0: 'no', 1: 'yes' }, max_position_embeddings: 512 }
const writeConfig = (more: object) => writeFileSync(path('config.json'), JSON.stringify({ ...config, ...more }))

describe('a folder', () => {
  it('gives the manifest', async () => {
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

  it('is served quantized when it has a quantized model', async () => {
    cpSync(path('onnx/model.onnx'), path('onnx/model_quantized.onnx'))
    expect((await read()).file).toBe('onnx/model_quantized.onnx')
  })

  it.each([
    [{ problem_type: 'multi_label_classification' }, 'multi_label'],
    [{ problem_type: null }, 'single_label'],
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

  it('without labels has the default ones', async () => {
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
  it('is the same for the same files in another folder and with another card', async () => {
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

describe('an invalid folder is refused with the file and the field:', () => {
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
    ['onnx/model.onnx', undefined, 'neither onnx/model_quantized.onnx nor onnx/model.onnx exists'],
    ['onnx/model.onnx', '', 'onnx/model.onnx is empty'],
  ])('%s %j', async (file, content, message) => {
    if (content === undefined) rmSync(path(file))
    else writeFileSync(path(file), content)
    await expect(read()).rejects.toThrow(message)
  })
})

describe('a folder with several problems', () => {
  it('reports all of them, each with its file and field', async () => {
    writeConfig({ id2label: { 0: 'a', 2: 'b' }, problem_type: 'sorting' })
    rmSync(path('tokenizer.json'))
    writeFileSync(path('inferq.json'), '{"maxToken": 7, "isolate": "yes"}')
    writeFileSync(path('onnx/model.onnx'), '')
    expect((await inspectFolder('Bad Name', path())).problems).toEqual([
      expect.stringMatching(/^a model name has /),
      'config.json: id2label: must name every output by its number, from 0',
      'config.json: problem_type: must be single_label_classification, multi_label_classification or regression',
      'tokenizer.json is missing',
      'inferq.json: isolate: must be true or false',
      'inferq.json: maxToken: is an unknown field',
      'onnx/model.onnx is empty',
    ])
  })
})

describe('inferq.json', () => {
  const write = (own: unknown) => writeFileSync(path('inferq.json'), JSON.stringify(own))
  const sha256Of = (file: string) =>
    createHash('sha256')
      .update(readFileSync(path(file)))
      .digest('hex')
  const served = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']
  const digests = () => Object.fromEntries(served.map((file) => [file, sha256Of(file)]))

  it('sets what the other files do not have', async () => {
    write({
      maxTokens: 64,
      function: 'sigmoid',
      lanes: { interactive: 2, bulk: 1 },
      isolate: true,
      sha256: digests(),
    })
    expect(await read()).toMatchObject({
      maxTokens: 64,
      function: 'sigmoid',
      lanes: { interactive: 2, bulk: 1 },
      isolate: true,
    })
  })

  it.each([
    [{ maxTokens: 513 }, 'inferq.json: maxTokens: is 513, but the model takes 512 at most'],
    [{ maxTokens: 2 }, 'inferq.json: maxTokens: must be at least 8'],
    [{ maxTokens: 'many' }, 'inferq.json: maxTokens: must be a whole number'],
    [{ function: 'argmax' }, 'inferq.json: function: must be one of softmax, sigmoid, none'],
    [{ lanes: { fast: 1 } }, 'inferq.json: lanes.fast: is an unknown field'],
    [{ lanes: { bulk: 0 } }, 'inferq.json: lanes.bulk: must be at least 1'],
    [{ sha256: { 'config.json': 'abc' } }, 'inferq.json: sha256.config.json: must be a SHA-256: 64 hexadecimal digits'],
    [{ task: 'x' }, 'inferq.json: task: is an unknown field'],
    [[], /^inferq\.json: top level: /],
  ])('%j is refused', async (own, message) => {
    write(own)
    await expect(read()).rejects.toThrow(message)
  })

  it('checks the SHA-256 of every served file', async () => {
    const { 'tokenizer.json': _left, ...others } = digests()
    const { problems } =
      (write({ sha256: { ...others, 'README.md': 'f'.repeat(64), 'config.json': '0'.repeat(64) } }),
      await inspectFolder('tiny', path()))
    expect(problems).toEqual([
      'inferq.json: sha256: has no entry for tokenizer.json, which is served',
      `inferq.json: sha256: config.json has another digest: ${sha256Of('config.json')}`,
      'inferq.json: sha256: README.md is not a served file',
    ])
  })
})

describe('a file outside the folder', () => {
  it.each(['config.json', 'tokenizer.json', 'README.md', 'inferq.json', 'onnx/model.onnx', 'onnx/model.onnx_data'])(
    'is not read through a link: %s',
    async (file) => {
      writeFileSync(join(dir, 'secret'), 'secret')
      rmSync(path(file), { force: true })
      symlinkSync(join(dir, 'secret'), path(file))
      const { problems } = await inspectFolder('tiny', path())
      expect(problems).toContain(`${file} links to a place outside the folder; put the file itself there`)
      expect(problems.join()).not.toContain('secret')
    },
  )

  it('is read when the folder itself is a link', async () => {
    symlinkSync(path(), join(dir, 'linked'))
    expect(await inspectFolder('linked', join(dir, 'linked'))).toMatchObject({ problems: [] })
  })

  it.each(['../../secret', '/etc/hostname', '../../../etc/hostname', '..', 'a\0b', '*/_ORT_MEM_ADDR_/*'])(
    'is not read as external data: %j',
    async (location) => {
      writeFileSync(join(dir, 'secret'), 'secret')
      writeFileSync(path('onnx/model.onnx'), modelWithData(location))
      expect((await inspectFolder('tiny', path())).problems).toEqual([
        expect.stringMatching(/^onnx\/model\.onnx: external_data: .* is (outside the folder|missing)$/),
      ])
    },
  )

  it('of external data in the folder is part of the revision, by any name', async () => {
    writeFileSync(path('onnx/model.onnx'), modelWithData('weights.bin'))
    expect((await inspectFolder('tiny', path())).problems).toEqual([
      'onnx/model.onnx: external_data: onnx/weights.bin is missing',
    ])
    writeFileSync(path('onnx/weights.bin'), 'a')
    const { revision } = await read()
    writeFileSync(path('onnx/weights.bin'), 'b')
    expect((await read()).revision).not.toBe(revision)
  })

  it('that is not ONNX is distinguished from one that is', async () => {
    const whole = readFileSync(path('onnx/model.onnx'))
    expect(readOnnx(whole).locations.size).toBe(0)
    expect(() => readOnnx(whole.subarray(0, whole.length / 2))).toThrow('unexpected end of the file')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          readOnnx(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

/** The smallest ONNX model with external data: a graph, an initializer, its `location`. */
function modelWithData(location: string): Buffer {
  const field = (number: number, content: Buffer | string) => {
    const bytes = Buffer.from(content)
    return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
  }
  const entry = Buffer.concat([field(1, 'location'), field(2, location)])
  return field(7, field(5, field(13, entry)))
}

describe('the registry', () => {
  it('serves the valid models and has the reason for each other one', async () => {
    cpSync(path(), join(dir, 'broken'), { recursive: true })
    writeFileSync(join(dir, 'broken', 'config.json'), '{}')
    cpSync(path(), join(dir, 'Wrong Name'), { recursive: true })
    cpSync(path(), join(dir, 'batches'), { recursive: true })
    mkdirSync(join(dir, 'only-onnx', 'onnx'), { recursive: true })
    const { models, refused } = await readRegistry([dir], [], noHub)
    expect(models.map(({ name }) => name)).toEqual(['tiny'])
    expect(refused.map(({ name }) => name)).toEqual(['Wrong Name', 'batches', 'broken', 'only-onnx'])
    expect(refused[2]?.reason).toContain('config.json: model_type')
    expect(refused[3]?.reason).toMatch(/^config\.json is missing; tokenizer\.json is missing; /)
  })

  it('ignores what is not a model', async () => {
    mkdirSync(join(dir, 'training'))
    writeFileSync(join(dir, 'training', 'train.py'), '')
    writeFileSync(join(dir, 'README.md'), '')
    expect(await readRegistry([dir], [], noHub)).toMatchObject({ models: [{ name: 'tiny' }], refused: [] })
  })

  it('serves only the wanted models', async () => {
    cpSync(path(), join(dir, 'other'), { recursive: true })
    const { models, refused } = await readRegistry([dir], ['other', 'missing', 'other'], noHub)
    expect(models.map(({ name }) => name)).toEqual(['other'])
    expect(refused).toEqual([
      { name: 'missing', reason: 'there is no such folder (a model of the Hub is named owner/name)' },
    ])
  })

  it.each(['a/b/c', 'tiny/', 'owner/..', 'owner/name@../x', 'a\\b', 'tiny@1'])('refuses %j as a name', async (name) => {
    const { models, refused } = await readRegistry([join(dir, 'tiny')], [name], noHub)
    expect([models, refused]).toEqual([[], [{ name, reason: expect.any(String) }]])
  })

  it('serves a folder that is given as a path, under its last part', async () => {
    cpSync(path(), join(dir, 'apart', 'My Model'), { recursive: true })
    const { models } = await readRegistry([dir], [join(dir, 'apart', 'My Model'), 'tiny'], noHub)
    expect(models).toMatchObject([{ name: 'my-model', dir: join(dir, 'apart', 'My Model') }, { name: 'tiny' }])
  })

  it('refuses a path without a model, without the path in the name', async () => {
    const { models, refused } = await readRegistry([dir], [join(dir, 'nowhere', 'x')], noHub)
    expect(models).toEqual([])
    expect(refused).toEqual([{ name: 'x', reason: expect.stringMatching(/^there is no such folder/) }])
  })

  it('reads several directories; the first with a name wins', async () => {
    const [own, shipped] = [join(dir, 'own'), join(dir, 'shipped')]
    for (const folder of [join(own, 'mine'), join(own, 'tiny'), join(shipped, 'tiny'), join(shipped, 'other')]) {
      cpSync(path(), folder, { recursive: true })
    }
    const { models, refused } = await readRegistry([own, join(dir, 'nowhere'), shipped], [], noHub)
    expect(models.map((model) => model.dir)).toEqual([join(own, 'mine'), join(own, 'tiny'), join(shipped, 'other')])
    expect(refused).toEqual([])
    const wanted = await readRegistry([own, shipped], ['other', 'tiny'], noHub)
    expect(wanted.models.map((model) => model.dir)).toEqual([join(shipped, 'other'), join(own, 'tiny')])
  })

  it('serves a model of the Hub under the last part of its id', async () => {
    const fetched: unknown[] = []
    const { models } = await readRegistry([dir], ['Some.One/My-Model_1@refs/pr/1'], async (id) => {
      fetched.push(id)
      return path()
    })
    expect(fetched).toEqual([{ owner: 'Some.One', name: 'My-Model_1', revision: 'refs/pr/1', model: 'my-model_1' }])
    expect(models).toMatchObject([{ name: 'my-model_1', dir: path() }])
  })

  it('gives a name to the first model that has it', async () => {
    const { models, refused } = await readRegistry([dir], ['tiny', 'owner/Tiny', 'other/new', 'owner/new'], async () =>
      path(),
    )
    expect(models.map(({ name }) => name)).toEqual(['tiny', 'new'])
    expect(refused).toEqual([
      { name: 'owner/Tiny', reason: 'its name, "tiny", is taken by tiny' },
      { name: 'owner/new', reason: 'its name, "new", is taken by other/new' },
    ])
  })

  it('finds no model in a folder that does not exist', async () => {
    expect(await readRegistry([join(dir, 'nowhere')], [], noHub)).toEqual({ models: [], refused: [] })
  })
})
