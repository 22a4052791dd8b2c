// Copies a model into the models folder; a crash leaves either the old or the new model.
import { copyFile, mkdir, mkdtemp, readdir, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import { INFERQ_FILE } from '../../worker/models/inferq-json.ts'
import { CARD_FILE, inspectFolder, TEXT_FILES } from '../../worker/models/inspect.ts'
import { findFile } from '../../worker/models/model-files.ts'
import { chooseOnnx, findOnnx, onnxParts } from '../../worker/models/onnx-file.ts'
import { CommandError } from '../failure.ts'
import { exists } from './folder.ts'

const NAMED_FILES = [...TEXT_FILES, CARD_FILE, INFERQ_FILE]
const MAX_LISTED = 5

/** @throws CommandError when the model is already at the target, or one of the folders contains the other. */
export async function checkApart(from: string, target: string): Promise<void> {
  if (!(await exists(target))) return
  const [source, destination] = [await realpath(from), await realpath(target)]
  if (isInside(source, destination) || isInside(destination, source)) {
    throw new CommandError(`${from} is in the models folder already: add it from another folder, or edit it there`)
  }
}

/** @throws CommandError when the folder has files that are not part of its model, which a replacement would remove. */
export async function checkReplaceable(target: string): Promise<void> {
  if (!(await exists(target))) return
  const files = await filesIn(target)
  const { manifest } = await inspectFolder(basename(target), target)
  const onnx = manifest?.file ?? chooseOnnx(files)
  const data = onnx
    ? await findOnnx(target, onnx).then(
        ({ parts }) => parts,
        () => [],
      )
    : []
  const model = new Set([...NAMED_FILES, ...(onnx ? onnxParts(onnx, files) : []), ...data])
  const others = files.filter((file) => !model.has(file))
  if (others.length === 0) return
  const more = others.length > MAX_LISTED ? ` and ${others.length - MAX_LISTED} more` : ''
  throw new CommandError(
    `${target} has files that are not part of the model (${others.slice(0, MAX_LISTED).join(', ')}${more}): ` +
      'move them away, or give another --name',
  )
}

/**
 * Copies the files that are served or describe the model. The caller holds the lock of the target.
 * @param onnx relative to the folder. @throws CommandError when there is a model that is not to be replaced.
 */
export async function install(
  from: string,
  onnx: string,
  target: string,
  force: boolean,
  signal: AbortSignal,
): Promise<void> {
  await recover(target)
  if (!force && (await exists(target))) throw new CommandError(`${target} exists: --force replaces it`)
  // Staged in a hidden folder, because a worker may read the models folder meanwhile.
  const staging = await mkdtemp(stagingPrefix(target))
  const [complete, replaced] = [join(staging, 'new'), join(staging, 'old')]
  try {
    const { parts } = await findOnnx(from, onnx)
    for (const file of [...NAMED_FILES, ...parts]) {
      signal.throwIfAborted()
      const found = await findFile(from, file)
      if (!found) continue
      await mkdir(dirname(join(complete, file)), { recursive: true })
      await copyFile(found.path, join(complete, file))
    }
    if (await exists(target)) await rename(target, replaced)
    await rename(complete, target)
  } finally {
    await recover(target)
  }
}

/** Puts a replaced model back when no other one took its place, and removes what an installation left. */
async function recover(target: string): Promise<void> {
  const [folder, start] = [dirname(target), basename(stagingPrefix(target))]
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start) || name.length !== start.length + 6) continue
    const replaced = join(folder, name, 'old')
    if ((await exists(replaced)) && !(await exists(target))) await rename(replaced, target)
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

/** mkdtemp adds six characters. */
function stagingPrefix(target: string): string {
  return join(dirname(target), `.adding-${basename(target)}-`)
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way === '' || !(way.startsWith(`..${sep}`) || way === '..' || isAbsolute(way))
}

/** Paths of all files, relative to the folder, with slashes. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
}
