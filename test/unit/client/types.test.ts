// The types of the client are those that the schemas of the server describe. The compiler checks them (`npm run types`).
import { expectTypeOf, it } from 'vitest'
import type * as z from 'zod'
import type { BatchObject, flatScores, PredictionObject } from '../../../src/api/routes/schema.ts'
import type { Batch, LabelScore, Prediction } from '../../../src/client/types.ts'

/** Optional members of zod's types may be undefined. */
type WithoutUndefined<T> = T extends (infer Item)[]
  ? WithoutUndefined<Item>[]
  : T extends object
    ? { [K in keyof T]: WithoutUndefined<Exclude<T[K], undefined>> }
    : T

it('reads what the server sends', () => {
  expectTypeOf<LabelScore>().toEqualTypeOf<z.infer<typeof flatScores>[number]>()
  expectTypeOf<WithoutUndefined<PredictionObject>>().toExtend<Prediction>()
  expectTypeOf<Prediction>().toExtend<PredictionObject>()
  expectTypeOf<keyof Prediction>().toEqualTypeOf<keyof PredictionObject>()
  expectTypeOf<WithoutUndefined<BatchObject>>().toExtend<Batch>()
  expectTypeOf<Batch['status']>().toEqualTypeOf<BatchObject['status']>()
})
