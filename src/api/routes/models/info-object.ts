// The schema of /info: the fields of Text Embeddings Inference, then those of this server.
import * as z from 'zod'
import { statsObject } from './model-stats.ts'

const servedBy = z.object({ name: z.string(), revision: z.string(), workers: z.int() })
const reported = z.object({ name: z.string(), revision: z.string(), texts_per_second: z.int(), ...statsObject.shape })

export const infoObject = z
  .object({
    model_id: z.string(),
    model_sha: z.string(),
    model_dtype: z.string(),
    model_type: z.object({
      classifier: z.object({
        id2label: z.record(z.string(), z.string()),
        label2id: z.record(z.string(), z.int()),
      }),
    }),
    served_model_name: z.string(),
    sha: z.string(),
    docker_label: z.string(),
    max_concurrent_requests: z.int(),
    max_input_length: z.int(),
    max_batch_tokens: z.int(),
    max_batch_requests: z.int(),
    max_client_batch_size: z.int(),
    auto_truncate: z.boolean(),
    tokenization_workers: z.int(),
    version: z.string(),
    default_model: z.string(),
    models: z.array(servedBy),
    workers: z.array(
      z.looseObject({
        id: z.string(),
        host: z.string(),
        version: z.string(),
        started_at: z.string().meta({ format: 'date-time' }),
        state: z.string(),
        models: z.array(reported),
      }),
    ),
    limits: z.record(z.string(), z.number()),
  })
  .meta({ id: 'Info' })
