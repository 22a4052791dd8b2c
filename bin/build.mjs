// Bundles each program of src into one file of dist/, with a source map, and the client with its types.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/** Packages with native code, and packages that contain the files of a page. */
const EXTERNAL = ['onnxruntime-node', '@xenova/transformers', 'msgpackr-extract', '@bull-board/ui', 'swagger-ui-dist']

/** CommonJS packages in a bundle call require(). */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

const options = {
  outdir: 'dist',
  outbase: 'src',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: true,
  external: EXTERNAL,
  banner: { js: BANNER },
  logLevel: 'warning',
}

await build({
  ...options,
  entryPoints: [
    'src/worker/main.ts',
    'src/worker/inference/main.ts',
    'src/launcher/main.ts',
    'src/launcher/exit-with-parent.ts',
    // For bin/test.mjs.
    'src/launcher/redis-binary.ts',
  ],
})
// The client of S3 is loaded only when files are in a bucket.
await build({ ...options, entryPoints: ['src/api/main.ts'], splitting: true, chunkNames: 'api/[name]-[hash]' })
// Commands of the command line are loaded when they run.
await build({ ...options, entryPoints: ['src/cli/main.ts'], splitting: true, chunkNames: 'cli/[name]-[hash]' })

// inferq/client, for every JavaScript runtime: an import of a package or of Node fails the build.
await build({
  outfile: 'dist/client/exports.js',
  entryPoints: ['src/client/exports.ts'],
  bundle: true,
  platform: 'neutral',
  target: 'es2022',
  logLevel: 'warning',
})
const types = spawnSync('node', ['node_modules/typescript/bin/tsc', '-p', 'src/client'], { stdio: 'inherit' })
if (types.status !== 0) process.exit(1)
// Declarations keep the extension of the sources, which only some resolvers understand.
for (const name of readdirSync('dist/client', { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue
  const file = join('dist/client', name)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(from '\.[^']*)\.ts'/g, "$1.js'"))
}
