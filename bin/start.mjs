// `npm start`: sets up a clone, then starts all processes (src/launcher/main.ts).

import { report, setUp } from './setup.mjs'

const helpOnly = process.argv.includes('--help')
if (!helpOnly) report('starting …')
setUp()
await import('../dist/launcher/main.js')
