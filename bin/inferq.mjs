#!/usr/bin/env node
// `inferq`: sets up a clone, then runs the command line (src/cli/main.ts).

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, setUp } from './setup.mjs'

// Relative paths of the arguments start here; the set-up changes the working directory.
const here = process.cwd()
// An image has no sources, and needs no set-up.
if (existsSync(join(root, 'src'))) setUp('stderr')
process.chdir(here)
await import('../dist/cli/main.js')
