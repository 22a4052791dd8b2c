// The requests to a bucket, by AWS' client. It is loaded only with s3://.
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import type { BucketLocation } from './files-url.ts'
import { codeOfFailure } from './s3-failure.ts'

/** Milliseconds to connect, until an answer begins, and of silence in an answer. */
const [CONNECT_MS, ANSWER_MS, SILENCE_MS] = [2_000, 15_000, 15_000]
const ATTEMPTS = 2
/** The smallest part that S3 accepts; an object of one part is a single request. An upload holds two in memory. */
const PART_BYTES = 5 * 1_024 * 1_024
/** Requests of a deletion that run at the same time. */
const DELETIONS = 16
/** Signs requests to a server that has no regions. */
const ANY_REGION = 'us-east-1'
/** An object is created, and never replaced. */
const IF_ABSENT = { IfNoneMatch: '*' }

export interface OpenedObject {
  /** Bytes of the whole object. */
  size: number
  body: Readable
}

export class S3Bucket {
  readonly #bucket: string
  readonly #client: S3Client

  constructor({ bucket, region, endpoint, pathStyle }: BucketLocation) {
    this.#bucket = bucket
    const defaultRegion = endpoint === undefined ? {} : { region: ANY_REGION }
    this.#client = new S3Client({
      ...(region === undefined ? defaultRegion : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      forcePathStyle: pathStyle,
      maxAttempts: ATTEMPTS,
      // Other servers than AWS' refuse checksums in trailers.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: ANSWER_MS,
        throwOnRequestTimeout: true,
        socketTimeout: SILENCE_MS,
        // MAX_STREAMS and the places of batches limit them.
        httpAgent: { maxSockets: Number.POSITIVE_INFINITY, keepAlive: true },
        httpsAgent: { maxSockets: Number.POSITIVE_INFINITY, keepAlive: true },
      },
    })
  }

  /** Creates an object, in parts when it is large. A failure leaves nothing. @returns false when the key exists. */
  async create(key: string, content: AsyncIterable<Buffer | string>): Promise<boolean> {
    const body = Readable.from(content, { objectMode: true, highWaterMark: 1 })
    const params = { ...this.#at(key), ...IF_ABSENT, Body: body }
    const upload = new Upload({ client: this.#client, params, partSize: PART_BYTES, queueSize: 1 })
    try {
      return await unlessExists(upload.done())
    } finally {
      body.destroy()
    }
  }

  /** Creates an object in parts, whatever its size. @returns false when the key exists. */
  async createInParts(key: string, content: Buffer): Promise<boolean> {
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(this.#at(key)))
    const upload = { ...this.#at(key), UploadId }
    try {
      const { ETag } = await this.#client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: content }))
      const parts = { MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } }
      const isCreated = await unlessExists(
        this.#client.send(new CompleteMultipartUploadCommand({ ...upload, ...IF_ABSENT, ...parts })),
      )
      if (!isCreated) await this.#abort(upload)
      return isCreated
    } catch (error) {
      await this.#abort(upload).catch(() => undefined)
      throw error
    }
  }

  /** Bytes of the object; undefined without one. */
  async size(key: string): Promise<number | undefined> {
    const found = await unlessMissing(this.#client.send(new HeadObjectCommand(this.#at(key))))
    return found && (found.ContentLength ?? 0)
  }

  /**
   * Opens a range; a caller that does not read it to its end destroys the body. undefined without such an object.
   * @param end exclusive, above `start`. An object that ends before `start` has an empty body.
   */
  async open(key: string, start: number, end: number): Promise<OpenedObject | undefined> {
    const range = { Range: `bytes=${start}-${end - 1}` }
    try {
      const found = await unlessMissing(this.#client.send(new GetObjectCommand({ ...this.#at(key), ...range })))
      if (!found) return undefined
      const size = Number(/\/(\d+)$/.exec(found.ContentRange ?? '')?.[1] ?? found.ContentLength)
      return { size, body: found.Body as Readable }
    } catch (error) {
      if (codeOfFailure(error) !== 'InvalidRange') throw error
      const size = await this.size(key)
      return size === undefined ? undefined : { size, body: Readable.from([]) }
    }
  }

  /** All keys that begin with the prefix. */
  async keys(prefix: string): Promise<string[]> {
    const keys: string[] = []
    const request = { Bucket: this.#bucket, Prefix: prefix }
    for await (const page of paginateListObjectsV2({ client: this.#client }, request)) {
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key)
    }
    return keys
  }

  /** Removes objects; it is no error when one does not exist. One request each: some servers have no other. */
  async delete(keys: string[]): Promise<void> {
    for (let first = 0; first < keys.length; first += DELETIONS) {
      const requests = keys
        .slice(first, first + DELETIONS)
        .map((key) => this.#client.send(new DeleteObjectCommand(this.#at(key))))
      await Promise.all(requests)
    }
  }

  /** Aborts uploads in parts that began before a time and have not ended. @param prefix of their keys. @param before epoch milliseconds. */
  async abortStale(prefix: string, before: number): Promise<void> {
    const { Uploads } = await this.#client.send(
      new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix }),
    )
    for (const { Key, UploadId, Initiated } of Uploads ?? []) {
      if (Key === undefined || !Initiated || Initiated.getTime() > before) continue
      await this.#abort({ ...this.#at(Key), UploadId })
    }
  }

  async #abort(upload: { Bucket: string; Key: string; UploadId: string | undefined }): Promise<void> {
    await this.#client.send(new AbortMultipartUploadCommand(upload))
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: key }
  }
}

async function unlessExists(created: Promise<unknown>): Promise<boolean> {
  try {
    await created
    return true
  } catch (error) {
    if (codeOfFailure(error) === 'PreconditionFailed') return false
    throw error
  }
}

async function unlessMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch (error) {
    if (['NoSuchKey', 'NotFound'].includes(codeOfFailure(error))) return undefined
    throw error
  }
}
