// `npm run bench`: sets up what is missing, then measures (main.ts). tsx runs the TypeScript here as it is.
import { register } from 'tsx/esm/api'
import { setUp } from '../bin/setup.mjs'

if (!process.argv.includes('--help')) setUp()
register()
await import('./main.ts')
