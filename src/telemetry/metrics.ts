// Every metric of inferq: the unit is in the name; labels have few values, never a text, an id or a path with an id.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const POWERS_OF_TWO = [1, 2, 4, 8, 16, 32, 64, 128]
/** Gauges of prom-client whose names end like those of counters; nodejs_active_resources has their sum by type. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export type ApiMetrics = ReturnType<typeof createApiMetrics>
export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>

export function createApiMetrics() {
  const { registry, counter, gauge, histogram, shared } = declarations()
  const metrics = {
    registry,
    requests: histogram(
      'inferq_http_request_seconds',
      'Duration of HTTP requests by route and status',
      ['method', 'route', 'status'],
      SECONDS,
    ),
    outcomes: counter(
      'inferq_requests_total',
      'Calls and creations of predictions whose model is known: success, rejected (429, 503, 507), timeout, canceled by the client, failed (424, 5xx), or invalid',
      ['model', 'outcome'],
    ),
    texts: counter('inferq_texts_total', 'Texts of plain calls: answered, or not_answered', ['model', 'outcome']),
    jobTexts: histogram('inferq_job_texts', 'Texts in one job of plain calls', ['model'], POWERS_OF_TWO),
    cacheLookups: counter('inferq_cache_lookups_total', 'Texts of plain calls by outcome in the cache: hit, or miss', [
      'model',
      'outcome',
    ]),
    refused: counter('inferq_refused_total', 'Requests rejected by admission control, by reason', ['reason']),
    connections: gauge('inferq_open_connections', 'Open connections of clients'),
    polls: gauge('inferq_long_polls', 'Long polls that wait now'),
    streams: gauge('inferq_open_streams', 'Event streams, followed rows, downloads and uploads that are open now'),
    stalled: counter(
      'inferq_stalled_connections_total',
      'Connections that were cut because their client read too slowly',
    ),
    apiKeys: gauge('inferq_api_keys', 'API keys by state: valid, or expired', ['state']),
    adminLogins: counter(
      'inferq_admin_logins_total',
      'Logins of the dashboard by outcome: accepted, wrong, or throttled without a check',
      ['outcome'],
    ),
    settled: gauge(
      'inferq_answers_settled',
      'Results since the start by the way they arrived: a reply, or reading the job',
      ['by'],
    ),
    waiting: gauge('inferq_waiting_calls', 'Calls that wait for a result now'),
    jobs: gauge('inferq_queue_jobs', 'Jobs in a queue: waiting, or active', ['model', 'lane', 'state']),
    queueWork: gauge(
      'inferq_queue_work_seconds',
      'Estimated work in a queue, waiting and running, in seconds of one inference process',
      ['model', 'lane'],
    ),
    workers: gauge('inferq_live_workers', 'Workers with a heartbeat that serve a model', ['model']),
    processes: gauge(
      'inferq_inference_processes',
      'Inference processes of the live workers that take jobs of a model',
      ['model'],
    ),
    refusedModels: gauge('inferq_refused_models', 'Models that a live worker refuses to serve'),
    batches: counter('inferq_batches_total', 'Batches that ended in this process'),
    batchRows: counter('inferq_batch_rows_total', 'Rows of batches written by this process: answered, or failed', [
      'outcome',
    ]),
    batchesRunning: gauge('inferq_running_batches', 'Batches that this process runs now'),
    inputFetches: counter(
      'inferq_input_fetches_total',
      'Input files of batches that this process fetched from a URL, by outcome: fetched, or failed for good',
      ['outcome'],
    ),
    fetching: gauge('inferq_running_input_fetches', 'Input files of batches that this process fetches now'),
    redisMemory: gauge('inferq_redis_memory_bytes', 'Memory that Redis uses, with what is reserved for results'),
    redisMemoryRatio: gauge('inferq_redis_memory_ratio', 'Used share of the memory limit of Redis, 0 to 1'),
    predictionMemory: gauge(
      'inferq_prediction_memory_bytes',
      'Memory of Redis that predictions take, estimated at their creation',
    ),
    diskFree: gauge('inferq_disk_free_bytes', 'Free space of the disk of files'),
    storageFailures: counter('inferq_file_store_failures_total', 'Operations of the file store that found no answer'),
    storedBytes: gauge('inferq_stored_bytes', 'Size of all files and outputs of batches'),
    records: gauge('inferq_records', 'What is kept in Redis, by kind', ['kind']),
    webhookAttempts: counter(
      'inferq_webhook_attempts_total',
      'Requests of webhooks by outcome: delivered, retried later, or failed for good',
      ['outcome'],
    ),
    undeliveredBytes: gauge(
      'inferq_webhook_undelivered_bytes',
      'Bodies of webhooks in Redis that are not delivered yet, compressed',
    ),
    ...shared('api'),
  }
  // An increase is seen only from a value, so what alerts watch begins at 0.
  for (const outcome of ['delivered', 'retried', 'failed']) metrics.webhookAttempts.inc({ outcome }, 0)
  for (const outcome of ['accepted', 'wrong', 'throttled']) metrics.adminLogins.inc({ outcome }, 0)
  return metrics
}

export function createWorkerMetrics() {
  const { registry, counter, histogram, shared } = declarations()
  return {
    registry,
    jobs: counter(
      'inferq_worker_jobs_total',
      'Jobs taken by lane and how they ended: done, canceled, aborted (too late), revision_gone, or given back for a reason',
      ['model', 'lane', 'outcome'],
    ),
    texts: counter('inferq_worker_texts_total', 'Texts that got a row: done, or failed', ['model', 'outcome']),
    failedTexts: counter('inferq_failed_texts_total', 'Texts that failed, by code: Validation, Tokenizer, or Backend', [
      'model',
      'code',
    ]),
    runs: histogram('inferq_run_seconds', 'Duration of one run: tokenizer and session', ['model'], SECONDS),
    tokenizing: histogram(
      'inferq_run_tokenize_seconds',
      'Duration of the tokenizer in one run, a part of inferq_run_seconds',
      ['model'],
      SECONDS,
    ),
    runTexts: histogram('inferq_run_texts', 'Texts in one run', ['model'], POWERS_OF_TWO),
    tokens: counter('inferq_tokens_total', 'Tokens that the session computed, by kind: text, or padding', [
      'model',
      'kind',
    ]),
    queueTime: histogram(
      'inferq_queue_seconds',
      'Time from the creation of a job to its first run',
      ['model', 'lane'],
      SECONDS,
    ),
    keyTexts: counter('inferq_key_texts_total', 'Texts computed for the owner of an API key', ['owner']),
    keyTokens: counter('inferq_key_tokens_total', 'Tokens of the texts computed for the owner of an API key', [
      'owner',
    ]),
    keyCompute: counter(
      'inferq_key_compute_seconds_total',
      'Seconds of an inference process for the owner of an API key, by its share of the tokens of each run',
      ['owner'],
    ),
    bisections: counter(
      'inferq_bisected_runs_total',
      'Runs that failed and were split, by cause: error, crash, timeout, or memory',
      ['model', 'cause'],
    ),
    replacedConsumers: counter(
      'inferq_replaced_consumers_total',
      'Consumers of a queue that took no waiting jobs and were replaced',
      ['model', 'lane'],
    ),
    respawns: counter(
      'inferq_inference_respawns_total',
      'Inference processes that ended unexpectedly and were restarted',
    ),
    ...shared('worker'),
  }
}

/** Declares metrics of one process in a registry of its own, which has the default metrics of Node too. */
function declarations() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
  const registers = [registry]
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames, registers })
  const gauge = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram<L>({ name, help, labelNames, buckets, registers })
  const shared = (program: string) => ({
    unknownVersions: counter(
      'inferq_unknown_job_versions_total',
      `Jobs of a version that this ${program} does not support, delayed`,
    ),
    spans: counter('inferq_trace_spans_total', 'Spans of traces: sent to the collector, or dropped', ['outcome']),
    redisErrors: counter('inferq_redis_errors_total', 'Errors of the Redis connections'),
    clockOffset: gauge(
      'inferq_clock_offset_seconds',
      'Seconds that the clock of this machine is ahead of that of Redis',
    ),
  })
  return { registry, counter, gauge, histogram, shared }
}
