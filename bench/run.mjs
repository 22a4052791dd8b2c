// `npm run bench`: installs what is missing, then runs main.ts with tsx.
import { register } from 'tsx/esm/api'
import { setUp } from '../bin/setup.mjs'

if (!process.argv.includes('--help')) setUp()
register()
await import('./main.ts')
