// `npm run test:clients`: installs what is missing, then runs main.ts with tsx.
import { register } from 'tsx/esm/api'
import { setUp } from '../../bin/setup.mjs'

setUp()
register()
await import('./main.ts')
