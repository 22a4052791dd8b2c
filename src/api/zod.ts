// zod, extended before any schema is made: the OpenAPI generator needs its method on every one of them.
import { extendZodWithOpenApi } from '@asteasolutions/zod-to-openapi'
import { z } from 'zod'

extendZodWithOpenApi(z)

export { z }
