#!/usr/bin/env node
// `inferq`: sets up what is missing in a clone, then runs the command line (src/cli/main.ts).

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, setUp } from './setup.mjs'

// Where the command was given: its paths are meant from there.
const here = process.cwd()
// In an image there are no sources, and nothing is missing.
if (existsSync(join(root, 'src'))) setUp('stderr')
process.chdir(here)
await import('../dist/cli/main.js')
