import { expect, it } from 'vitest'
import { apiSettings } from '../../../../src/api/config.ts'
import { filesUrl } from '../../../../src/batches/storage/files-url.ts'
import { readSettings, SettingsError } from '../../../../src/env.ts'

const AWS = { region: undefined, endpoint: undefined, pathStyle: false }

it.each([
  [undefined, undefined],
  ['file:///var/lib/inferq', { directory: '/var/lib/inferq' }],
  ['file:///with%20space', { directory: '/with space' }],
  ['s3://files', { ...AWS, bucket: 'files', prefix: '' }],
  [
    's3://my.files-1/a/b/?region=eu-central-1',
    { ...AWS, bucket: 'my.files-1', prefix: 'a/b/', region: 'eu-central-1' },
  ],
  [
    's3://files?endpoint=http://127.0.0.1:9000',
    { ...AWS, bucket: 'files', prefix: '', endpoint: 'http://127.0.0.1:9000', pathStyle: true },
  ],
  [
    's3://files?endpoint=https://s3.example&path_style=off',
    { ...AWS, bucket: 'files', prefix: '', endpoint: 'https://s3.example' },
  ],
  ['s3://files?path_style=on', { ...AWS, bucket: 'files', prefix: '', pathStyle: true }],
])('%s is the location %j', (given, location) => {
  expect(filesUrl.parse(given)).toEqual(location)
})

it.each([
  'files',
  'file://host/files',
  'file:///a%2Fb',
  's3://',
  's3://F',
  's3://a_b',
  's3://name:a-secret@files',
  's3://files?secret=a-secret',
  's3://files?region=EU Central',
  's3://files?endpoint=minio:9000',
  's3://files?endpoint=http://name:a-secret@minio:9000',
  's3://files?path_style=maybe',
  's3://files/a b',
  's3://files:9000',
  's3://files#x',
  'https://files.s3.amazonaws.com',
])('%s is refused without its value', (given) => {
  expect(() => readSettings({ filesUrl: apiSettings.filesUrl }, { FILES_URL: given })).toThrow(SettingsError)
  try {
    readSettings({ filesUrl: apiSettings.filesUrl }, { FILES_URL: given })
  } catch (error) {
    expect((error as Error).message).toContain('FILES_URL: must be a URL such as file:///FOLDER or s3://BUCKET')
    expect((error as Error).message).not.toContain('a-secret')
  }
})
