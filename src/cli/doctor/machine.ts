// Node, the packages with native code, memory and disk.
import { access, constants, readFile, stat } from 'node:fs/promises'
import { freemem, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { DiskSpace } from '../../batches/storage/disk-space.ts'
import { messageOf } from '../../errors.ts'
import { packagePath } from '../../package.ts'
import { bytesText } from '../format.ts'
import type { Finding } from './finding.ts'

type Found = Omit<Finding, 'check'>

/** As engines of package.json. */
const MIN_NODE = [20, 19] as const
const PLATFORMS = ['linux x64', 'linux arm64', 'darwin arm64']
/** A small model, the api, a worker and Redis. */
const [MIN_MEMORY, MIN_FREE_MEMORY] = [1e9, 400e6]

/** @returns whether this Node and this platform run inferq. */
export async function checkNode(): Promise<Found[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const platform = `${process.platform} ${process.arch}`
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  const message = `Node ${process.versions.node} on ${platform}`
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1]))
    return [
      { level: 'problem', message: `${message} is too old`, remedy: `install Node ${MIN_NODE.join('.')} or newer` },
    ]
  if (!PLATFORMS.includes(platform))
    return [
      { level: 'problem', message: `${message} cannot run models`, remedy: `use ${PLATFORMS.join(', ')}, or Docker` },
    ]
  if (process.platform === 'linux' && header.glibcVersionRuntime === undefined) {
    const remedy = 'use a distribution with glibc, such as Debian: ONNX Runtime has no build for musl'
    return [{ level: 'problem', message: `${message} without glibc cannot run models`, remedy }]
  }
  return [{ level: 'ok', message }]
}

/** Loads the packages that are not part of the build; ONNX Runtime in the version of package.json. */
export async function checkPackages(): Promise<Found[]> {
  const manifest = await readFile(packagePath('package.json'), 'utf8')
  const wanted = (JSON.parse(manifest) as { dependencies: Record<string, string> }).dependencies['onnxruntime-node']
  const runtime = await load('onnxruntime-node', () => import('onnxruntime-node'))
  const tokenizers = await load('@xenova/transformers', () => import('@xenova/transformers'))
  const failures = [runtime, tokenizers].flatMap(({ failure }) => failure ?? [])
  if (failures.length > 0) return failures
  const version = runtime.loaded?.env.versions.node ?? wanted
  if (version === wanted) return [{ level: 'ok', message: `ONNX Runtime ${version} and the tokenizers are loaded` }]
  const remedy = `install inferq again: this release is tested with ${wanted}`
  return [{ level: 'warning', message: `ONNX Runtime is ${version}`, remedy }]
}

async function load<T>(name: string, importIt: () => Promise<T>): Promise<{ loaded?: T; failure?: Found }> {
  try {
    return { loaded: await importIt() }
  } catch (error) {
    const remedy = 'install inferq again on this machine: files of another platform or Node do not work'
    const message = `${name} cannot be loaded: ${messageOf(error).split('\n')[0]}`
    return { failure: { level: 'problem', message, remedy } }
  }
}

export async function checkMemory(): Promise<Found[]> {
  const limit = process.constrainedMemory()
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  const free = Math.min(freemem(), total)
  const message = `${bytesText(free)} of ${bytesText(total)} are free`
  const remedy = 'INFERENCE_PROCESSES=1, a smaller or quantized model, or more memory'
  if (total < MIN_MEMORY || free < MIN_FREE_MEMORY) return [{ level: 'warning', message, remedy }]
  return [{ level: 'ok', message }]
}

/** @param wanted the directory of files; undefined for a bucket. @param reserve DISK_RESERVE, bytes. */
export async function checkDisk(wanted: string | undefined, reserve: number): Promise<Found[]> {
  if (wanted === undefined)
    return [{ level: 'ok', message: 'files are in a bucket, which the api checks at its start' }]
  const dir = await existing(wanted)
  const remedy = 'set DATA_DIR (or FILES_URL) to a directory in which inferq may write'
  if (!(await stat(dir)).isDirectory()) return [{ level: 'problem', message: `${dir} is not a directory`, remedy }]
  const isWritable = await access(dir, constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!isWritable) return [{ level: 'problem', message: `${dir} cannot be written to`, remedy }]
  const disk = new DiskSpace(dir, reserve)
  const state = await disk.sample()
  const message = `${bytesText(state?.free ?? 0)} are free for ${wanted}`
  if (disk.problem !== undefined) return [{ level: 'problem', message, remedy: 'delete files, or use a larger disk' }]
  return [{ level: 'ok', message }]
}

/** The path, or its nearest parent that exists. */
async function existing(dir: string): Promise<string> {
  const isThere = await stat(dir).then(
    () => true,
    () => false,
  )
  return isThere || dirname(dir) === dir ? dir : existing(dirname(dir))
}
