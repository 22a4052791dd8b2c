// `npm start`: sets up a clone, then starts all processes (src/launcher/main.ts).

import { exitWith, report, setUp } from './setup.mjs'

const [unknown] = process.argv.slice(2).filter((argument) => argument !== '--help' && argument !== '-h')
if (unknown !== undefined) {
  const name = /^--?([a-z][a-z-]*)/i.exec(unknown)?.[1]?.toUpperCase().replaceAll('-', '_')
  const example = name ? `${name}=… npm start` : 'PORT=8001 npm start'
  exitWith(
    `unknown argument "${unknown}". Settings are environment variables, for example: ${example}\n` +
      'All of them: npm start -- --help',
    2,
  )
}
const helpOnly = process.argv.length > 2
if (!helpOnly) report('starting …')
setUp()
await import('../dist/launcher/main.js')
