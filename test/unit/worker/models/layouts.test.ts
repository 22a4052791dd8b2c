// Layouts of a model's folder: where exporters, the Hub, its cache and Git put the files.
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inspectFolder, readManifest } from '../../../../src/worker/models/inspect.ts'
import { snapshotModel } from '../../../../src/worker/models/model-files.ts'
import { chooseOnnx } from '../../../../src/worker/models/onnx-file.ts'
import { readRegistry } from '../../../../src/worker/models/registry.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-layouts-'))
  cpSync('test/fixtures/models/tiny-fp32', join(dir, 'tiny'), { recursive: true })
})
afterEach(() => rmSync(dir, { recursive: true }))

const path = (...parts: string[]) => join(dir, 'tiny', ...parts)
const read = () => readManifest('tiny', path())
const problemsOf = async () => (await inspectFolder('tiny', path())).problems

describe('the ONNX file', () => {
  it.each([
    [['onnx/model.onnx', 'onnx/model_quantized.onnx', 'onnx/model_fp16.onnx'], 'onnx/model_quantized.onnx'],
    [['onnx/model.onnx', 'onnx/model_int8.onnx'], 'onnx/model.onnx'],
    [['onnx/model_fp16.onnx', 'onnx/model_int8.onnx', 'onnx/model_q4.onnx'], 'onnx/model_int8.onnx'],
    [['onnx/model_fp16.onnx', 'onnx/model_optimized.onnx'], 'onnx/model_optimized.onnx'],
    [['model.onnx', 'model_quantized.onnx', 'config.json'], 'model_quantized.onnx'],
    [['model.onnx', 'onnx/model_fp16.onnx'], 'onnx/model_fp16.onnx'],
    [['onnx/model_qint8_avx512.onnx', 'onnx/model_qint8_avx512.onnx_data'], 'onnx/model_qint8_avx512.onnx'],
    [['onnx/model_q4.onnx', 'onnx/model_bnb4.onnx'], undefined],
    [['onnx/more/model.onnx', 'pytorch_model.bin'], undefined],
  ])('of %j is %s', (files, chosen) => {
    expect(chooseOnnx(files)).toBe(chosen)
  })

  it('and its external data may lie next to config.json, where optimum writes them', async () => {
    renameSync(path('onnx/model.onnx'), path('model.onnx'))
    rmSync(path('onnx'), { recursive: true })
    const { revision, file } = await read()
    expect(file).toBe('model.onnx')
    writeFileSync(path('model.onnx_data'), 'weights')
    expect((await read()).revision).not.toBe(revision)
    expect((await readRegistry([dir], [], () => Promise.reject(new Error('no Hub')))).models).toHaveLength(1)
  })

  it('is the one that inferq.json names', async () => {
    cpSync(path('onnx/model.onnx'), path('onnx/other.onnx'))
    writeFileSync(path('inferq.json'), '{"file": "onnx/other.onnx"}')
    expect((await read()).file).toBe('onnx/other.onnx')
    writeFileSync(path('inferq.json'), '{"file": "onnx/none.onnx"}')
    expect(await problemsOf()).toEqual(['inferq.json: file: onnx/none.onnx does not exist'])
  })

  it.each(['../secret.onnx', '/etc/x.onnx', 'onnx/../../x.onnx', 'model.bin', ''])(
    'is not %j, outside the folder or no ONNX',
    async (file) => {
      writeFileSync(path('inferq.json'), JSON.stringify({ file }))
      expect(await problemsOf()).toEqual([
        'inferq.json: file: must be an ONNX file of the folder, for example onnx/model_int8.onnx',
      ])
    },
  )

  it('must be named when several have unusual names', async () => {
    renameSync(path('onnx/model.onnx'), path('onnx/a.onnx'))
    expect((await read()).file).toBe('onnx/a.onnx')
    cpSync(path('onnx/a.onnx'), path('onnx/b.onnx'))
    expect(await problemsOf()).toEqual([
      'inferq.json: file: must name one of onnx/a.onnx, onnx/b.onnx, because none has a usual name',
    ])
  })
})

describe('a Git LFS pointer', () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 90868376\n`

  it.each(['onnx/model.onnx', 'tokenizer.json'])('in place of %s is named as such', async (file) => {
    writeFileSync(path(file), pointer)
    expect(await problemsOf()).toEqual([
      `${file} is a Git LFS pointer, not the file itself; run "git lfs pull" in its repository`,
    ])
  })
})

describe('the Hugging Face cache', () => {
  const commit = 'a'.repeat(40)
  /** Snapshots have links to the blobs of their repository. */
  function cached(): string {
    const repository = join(dir, 'hub', 'models--Some-One--Tiny_Model')
    const snapshot = join(repository, 'snapshots', commit)
    mkdirSync(join(snapshot, 'onnx'), { recursive: true })
    mkdirSync(join(repository, 'blobs'))
    const files = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']
    for (const [index, file] of files.entries()) {
      cpSync(path(file), join(repository, 'blobs', `blob${index}`))
      symlinkSync(join('../..', file.includes('/') ? '..' : '', 'blobs', `blob${index}`), join(snapshot, file))
    }
    return snapshot
  }

  it('has a folder that can be served, named by its repository', async () => {
    const snapshot = cached()
    expect(await readManifest('tiny', snapshot)).toMatchObject({ file: 'onnx/model.onnx' })
    expect(await snapshotModel(snapshot)).toBe('tiny_model')
    expect(await snapshotModel(path())).toBeUndefined()
  })

  it('is no way to another file of the machine', async () => {
    const snapshot = cached()
    writeFileSync(join(dir, 'secret'), '{}')
    for (const target of ['secret', 'hub/models--Some-One--Tiny_Model/secret', 'hub/models--x--y/blobs/secret']) {
      mkdirSync(join(dir, target, '..'), { recursive: true })
      writeFileSync(join(dir, target), '{}')
      rmSync(join(snapshot, 'config.json'))
      symlinkSync(join(dir, target), join(snapshot, 'config.json'))
      expect((await inspectFolder('tiny', snapshot)).problems).toEqual([
        'config.json links to a place outside the folder; put the file itself there',
      ])
    }
  })
})

describe('labels', () => {
  it('that are numbers or booleans are taken as texts', async () => {
    const config = { model_type: 'bert', id2label: { 0: 1, 1: 2.5, 2: true, 3: 'four' } }
    writeFileSync(path('config.json'), JSON.stringify(config))
    expect((await read()).labels).toEqual(['1', '2.5', 'true', 'four'])
  })

  it('that are objects or null are refused', async () => {
    writeFileSync(path('config.json'), JSON.stringify({ model_type: 'bert', id2label: { 0: null, 1: {} } }))
    expect(await problemsOf()).toEqual([
      'config.json: id2label.0: must be a text',
      'config.json: id2label.1: must be a text',
    ])
  })
})
