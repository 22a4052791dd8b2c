// zod, prepared before any schema is made: the OpenAPI generator needs its method on every one of them, and callers need
// messages that are said for people.
import { extendZodWithOpenApi } from '@asteasolutions/zod-to-openapi'
import { z } from 'zod'

extendZodWithOpenApi(z)
z.config({
  customError: ({ code, input, expected }) => {
    if (code !== 'invalid_type') return undefined
    return input === undefined ? 'is missing' : `must be of type ${String(expected)}`
  },
})

export { z }
