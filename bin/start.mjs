// `npm start`: sets up what is missing, then runs everything under one roof (src/launcher/main.ts).

import { say, setUp } from './setup.mjs'

const helpOnly = process.argv.includes('--help')
if (!helpOnly) say('starting …')
setUp()
await import('../dist/launcher/main.js')
