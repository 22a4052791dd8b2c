// The version of the package, for heartbeats, /info and the OpenAPI document.
import { createRequire } from 'node:module'
import { z } from 'zod'

export const VERSION: string = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)('../package.json')).version
