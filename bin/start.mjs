// `npm start`: sets up a clone, then starts all processes (src/launcher/main.ts).

import { report, setUp } from './setup.mjs'

const isHelp = process.argv.some((argument) => argument === '--help' || argument === '-h')
if (!isHelp) report('starting …')
setUp()
await import('../dist/launcher/main.js')
