// The root directory and the version of the package.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'

const root = findRoot(dirname(fileURLToPath(import.meta.url)))

export const VERSION: string = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(packagePath('package.json'), 'utf8'))).version

/** The absolute path of a file of the package. Sources and bundles lie at different depths below its root. */
export function packagePath(...parts: string[]): string {
  return join(root, ...parts)
}

/** A clone has sources; an installed package and an image have only what is built from them. */
export const isClone: boolean = existsSync(packagePath('src'))

/** The directories of models when none is set; of an installed package, whose files npm replaces, ./models comes first. */
export function defaultModelsDirs(): string[] {
  return isClone ? [packagePath('models')] : [resolve('models'), packagePath('models')]
}

function findRoot(dir: string): string {
  return existsSync(join(dir, 'package.json')) ? dir : findRoot(dirname(dir))
}
