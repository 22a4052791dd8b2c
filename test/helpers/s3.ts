// The bucket of tests: that of TEST_S3_URL, else one of a stand-in.
import { randomUUID } from 'node:crypto'
import type { BucketLocation } from '../../src/batches/storage/files-url.ts'
import { filesUrl } from '../../src/batches/storage/files-url.ts'
import { s3StandIn } from './s3-stand-in.ts'

export interface TestBucket {
  location: BucketLocation
  /** The credentials, as AWS' programs read them. */
  env: Record<string, string>
  /** FILES_URL of the bucket. @param endpoint another address of the server, such as that of a proxy. */
  url: (endpoint?: string) => string
  stop: () => Promise<void>
}

const ACCESS_KEY = 'test-access-key'

/** A folder of its own in the bucket. */
export async function testBucket(): Promise<TestBucket> {
  const given = process.env['TEST_S3_URL']
  const server = given === undefined ? await s3StandIn('files', ACCESS_KEY) : undefined
  const location = filesUrl.parse(given ?? `s3://files?endpoint=${server?.endpoint}`)
  if (!location || 'directory' in location || location.endpoint === undefined)
    throw new Error('TEST_S3_URL must be s3://BUCKET?endpoint=http://HOST:PORT')
  const { bucket, endpoint, region } = location
  const folder = `${location.prefix}${randomUUID()}`
  const [name, secret] = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']
  const env = {
    [name]: server ? ACCESS_KEY : (process.env[name] ?? ''),
    [secret]: server ? 'test-secret-key' : (process.env[secret] ?? ''),
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  return {
    location: { ...location, prefix: `${folder}/` },
    env,
    url: (other = endpoint) =>
      `s3://${bucket}/${folder}?endpoint=${other}${region === undefined ? '' : `&region=${region}`}`,
    stop: async () => server?.stop(),
  }
}
