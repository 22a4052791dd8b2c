// `npm run test:faults` and `npm run test:soak`: installs and builds what is missing, then runs the program with tsx.
import { register } from 'tsx/esm/api'
import { setUp } from '../../bin/setup.mjs'

setUp('stderr')
register()
await import(process.argv[2] === 'soak' ? './soak/main.ts' : './main.ts')
