import { describe, expect, it } from 'vitest'
import { parseReference } from '../../../src/predict/model-resolver.ts'

describe('a reference to a model', () => {
  it.each([
    ['cola', 'cola', undefined],
    ['Xenova/DistilBERT-base_v1.0', 'distilbert-base_v1.0', undefined],
    ['cola@6a1d07f7065b', 'cola', '6a1d07f7065b'],
    ['any/cola@6a1d07f7065b', 'cola', '6a1d07f7065b'],
    // No revision is empty: nobody serves this one.
    ['cola@', 'cola', ''],
  ])('%j is %s at %s', (wanted, name, revision) => {
    expect(parseReference(wanted)).toEqual({ name, revision })
  })

  it.each([
    '',
    '/',
    '../cola',
    '../../cola',
    '/cola',
    '/etc/cola',
    'a/b/cola',
    'cola/',
    'co\0la',
    'cola\n',
    'cola@a@b',
    '.',
    '..',
    '%2e%2e',
    'a\\cola',
  ])('%j is none', (wanted) => {
    expect(parseReference(wanted)).toBeUndefined()
  })
})
