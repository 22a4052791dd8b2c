// `npm start`: sets up what is missing, then runs everything under one roof (src/start.ts).

import { say, setUp } from './setup.mjs'

const helpOnly = process.argv.includes('--help')
if (!helpOnly) say('starting …')
setUp()
await import('../dist/start.js')
