// The root directory and the version of the package.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
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

function findRoot(dir: string): string {
  return existsSync(join(dir, 'package.json')) ? dir : findRoot(dirname(dir))
}
