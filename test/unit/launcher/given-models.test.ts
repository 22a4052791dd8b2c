import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inspectModels, settingsOfModels, settingsWithoutModels } from '../../../src/launcher/given-models.ts'
import { readLauncherConfig } from '../../../src/launcher/settings.ts'

const TINY = resolve('test/fixtures/models/tiny-fp32')
const signal = new AbortController().signal
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-given-'))
  cpSync(TINY, join(dir, 'Mine'), { recursive: true })
  cpSync(TINY, join(dir, 'models/named'), { recursive: true })
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('models of the command line', () => {
  const of = (...models: string[]) => settingsOfModels(models, [join(dir, 'models')], dir)

  it('are folders, names and ids of the Hub; the first is the default', () => {
    expect(of('Mine', 'named', 'Owner/Model@v1')).toEqual({
      MODELS: `${join(dir, 'Mine')},named,Owner/Model@v1`,
      DEFAULT_MODEL: 'mine',
    })
    expect(of('Owner/Model', './Mine')).toMatchObject({ DEFAULT_MODEL: 'model' })
    expect(of('models/named')).toMatchObject({ DEFAULT_MODEL: 'named' })
  })

  it.each([
    ['./absent', './absent: there is no such folder, and a model of the Hub is named owner/name'],
    ['absent', 'absent: there is no such folder, and a model of the Hub is named owner/name'],
    ['a/b/c', /^a\/b\/c: is neither a folder of MODELS_DIR, a path/],
  ])('%s is refused', (given, message) => {
    expect(() => of(given)).toThrow(message)
  })

  it('of one name, or with a comma, are refused', () => {
    expect(() => of('Mine', 'owner/mine')).toThrow('owner/mine: its name, "mine", is taken by Mine')
    mkdirSync(join(dir, 'a,b'))
    expect(() => of('a,b')).toThrow('a path with a comma cannot be served')
  })

  it('are described, or refused with every problem', async () => {
    const lines: string[] = []
    const inspect = (...models: string[]) =>
      inspectModels(
        readLauncherConfig({ ...of(...models), MODELS_DIR: join(dir, 'models') }),
        dir,
        (line) => lines.push(line),
        signal,
      )
    await inspect('Mine')
    expect(lines.join('\n')).toMatch(
      /^found .*Mine: "mine", bert, onnx\/model\.onnx of 0\.4 MB\n +single-label \(softmax\), /,
    )
    rmSync(join(dir, 'Mine/onnx'), { recursive: true })
    await expect(inspect('Mine')).rejects.toThrow(/^cannot serve .*Mine: neither onnx\/model_quantized\.onnx nor/)
    rmSync(join(dir, 'Mine/config.json'))
    await expect(inspect('Mine')).rejects.toThrow(/^cannot serve, 2 problems:\n {2}.*Mine: config\.json is missing\n/)
  })
})

describe('without models', () => {
  const MODELS_DIR = () => join(dir, 'models')

  it('the default model is one that is there', async () => {
    expect(await settingsWithoutModels({ MODELS_DIR: MODELS_DIR() })).toEqual({
      MODELS_DIR: MODELS_DIR(),
      DEFAULT_MODEL: 'named',
    })
    cpSync(TINY, join(dir, 'models/cola'), { recursive: true })
    expect(await settingsWithoutModels({ MODELS_DIR: MODELS_DIR() })).not.toHaveProperty('DEFAULT_MODEL')
  })

  it('settings of the environment stay, and a clone serves its models', async () => {
    for (const env of [{ DEFAULT_MODEL: 'x' }, { MODELS: 'named' }]) {
      expect(await settingsWithoutModels({ ...env, MODELS_DIR: MODELS_DIR() })).not.toHaveProperty('DEFAULT_MODEL')
    }
    expect(await settingsWithoutModels({})).toEqual({ MODELS_DIR: resolve('models') })
  })
})
