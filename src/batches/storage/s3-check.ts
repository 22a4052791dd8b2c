// Tries everything that the file store needs of a bucket.
import { randomUUID } from 'node:crypto'
import type { BucketLocation } from './files-url.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { placeOf } from './s3-failure.ts'

const CONTENT = Buffer.from('inferq tries this bucket')
const OTHER = Buffer.from('another content')

/**
 * Creates a small object, reads, lists and removes it.
 * @returns what the server does not do as the file store needs it; undefined: it does all.
 * @throws the failure of a request.
 */
export async function missingFeature(bucket: S3Bucket, location: BucketLocation): Promise<string | undefined> {
  const folder = `${location.prefix}checks/${randomUUID()}/`
  const key = `${folder}object`
  if (!(await bucket.create(key, each(CONTENT)))) return `${placeOf(location)} takes a new object for an existing one`
  try {
    const missing = await missingOf(bucket, folder, key)
    return missing && `${placeOf(location)} cannot be used: its server ${missing}`
  } finally {
    await bucket.delete([key])
  }
}

async function missingOf(bucket: S3Bucket, folder: string, key: string): Promise<string | undefined> {
  const replaced = (await bucket.create(key, each(OTHER))) || (await bucket.createInParts(key, OTHER))
  if (replaced) return 'ignores If-None-Match, so that an api could replace what another one has stored'
  const range = await bucket.open(key, 7, 12)
  const isRange = range?.size === CONTENT.length && (await textOf(range.body)) === 'tries'
  if (!isRange) return 'ignores the header Range'
  return (await bucket.keys(folder)).join() === key ? undefined : 'does not list its objects'
}

async function* each(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
