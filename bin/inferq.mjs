#!/usr/bin/env node
// `inferq`: sets up a clone, then runs `serve` (src/launcher/main.ts) or another command (src/cli/main.ts).

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { checkNode, exitWith, root, setUp } from './setup.mjs'

// Relative paths of the arguments start here; the set-up changes the working directory.
const here = process.cwd()
// An installed package and an image have no sources, and need no set-up.
if (existsSync(join(root, 'src'))) setUp('stderr')
else checkNode()
if (!existsSync(join(root, 'dist')))
  exitWith('this package was packed without its build; "npm run package" packs it with it.')
process.chdir(here)
await import(process.argv[2] === 'serve' ? '../dist/launcher/main.js' : '../dist/cli/main.js')
