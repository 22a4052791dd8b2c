// Every metric of inferq: the unit is in the name; labels have few values, never a text, an id or a path with an id.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const POWERS_OF_TWO = [1, 2, 4, 8, 16, 32, 64, 128]

export type ApiMetrics = ReturnType<typeof createApiMetrics>
export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>

export function createApiMetrics() {
  const registers = [withDefaults()]
  return {
    registry: registers[0] as Registry,
    requests: new Histogram({
      name: 'inferq_http_request_seconds',
      help: 'Duration of HTTP requests by route and status',
      labelNames: ['method', 'route', 'status'] as const,
      buckets: SECONDS,
      registers,
    }),
    texts: new Counter({
      name: 'inferq_texts_total',
      help: 'Texts of plain calls by outcome',
      labelNames: ['model', 'outcome'] as const,
      registers,
    }),
    jobTexts: new Histogram({
      name: 'inferq_job_texts',
      help: 'Texts in one job of plain calls',
      labelNames: ['model'] as const,
      buckets: POWERS_OF_TWO,
      registers,
    }),
    refused: new Counter({
      name: 'inferq_refused_total',
      help: 'Requests rejected by admission control, by reason',
      labelNames: ['reason'] as const,
      registers,
    }),
    connections: new Gauge({ name: 'inferq_open_connections', help: 'Open connections of clients', registers }),
    polls: new Gauge({ name: 'inferq_long_polls', help: 'Long polls that wait now', registers }),
    streams: new Gauge({
      name: 'inferq_open_streams',
      help: 'Event streams, followed rows, downloads and uploads that are open now',
      registers,
    }),
    stalled: new Counter({
      name: 'inferq_stalled_connections_total',
      help: 'Connections that were cut because their client read too slowly',
      registers,
    }),
    apiKeys: new Gauge({
      name: 'inferq_api_keys',
      help: 'API keys by state: valid, or expired',
      labelNames: ['state'] as const,
      registers,
    }),
    adminLogins: new Counter({
      name: 'inferq_admin_logins_total',
      help: 'Logins of the dashboard by outcome: accepted, wrong, or throttled without a check',
      labelNames: ['outcome'] as const,
      registers,
    }),
    settled: new Gauge({
      name: 'inferq_answers_settled',
      help: 'Results since the start by the way they arrived: a reply, or reading the job',
      labelNames: ['by'] as const,
      registers,
    }),
    waiting: new Gauge({ name: 'inferq_waiting_calls', help: 'Calls that wait for a result now', registers }),
    jobs: new Gauge({
      name: 'inferq_queue_jobs',
      help: 'Jobs in a queue by state',
      labelNames: ['model', 'lane', 'state'] as const,
      registers,
    }),
    queueWork: new Gauge({
      name: 'inferq_queue_work_seconds',
      help: 'Estimated work in a queue, waiting and running, in seconds of one inference process',
      labelNames: ['model', 'lane'] as const,
      registers,
    }),
    workers: new Gauge({
      name: 'inferq_live_workers',
      help: 'Workers with a heartbeat that serve a model',
      labelNames: ['model'] as const,
      registers,
    }),
    batches: new Counter({
      name: 'inferq_batches_total',
      help: 'Batches that ended in this process',
      registers,
    }),
    batchRows: new Counter({
      name: 'inferq_batch_rows_total',
      help: 'Rows of batches written by this process, by outcome',
      labelNames: ['outcome'] as const,
      registers,
    }),
    batchesRunning: new Gauge({
      name: 'inferq_running_batches',
      help: 'Batches that this process runs now',
      registers,
    }),
    inputFetches: new Counter({
      name: 'inferq_input_fetches_total',
      help: 'Input files of batches that this process fetched from a URL, by outcome: fetched, or failed for good',
      labelNames: ['outcome'] as const,
      registers,
    }),
    fetching: new Gauge({
      name: 'inferq_running_input_fetches',
      help: 'Input files of batches that this process fetches now',
      registers,
    }),
    redisMemory: new Gauge({
      name: 'inferq_redis_memory_bytes',
      help: 'Memory that Redis uses, with what is reserved for results',
      registers,
    }),
    redisMemoryRatio: new Gauge({
      name: 'inferq_redis_memory_ratio',
      help: 'Used share of the memory limit of Redis, 0 to 1',
      registers,
    }),
    predictionMemory: new Gauge({
      name: 'inferq_prediction_memory_bytes',
      help: 'Memory of Redis that predictions take, estimated at their creation',
      registers,
    }),
    diskFree: new Gauge({
      name: 'inferq_disk_free_bytes',
      help: 'Free space of the disk of files',
      registers,
    }),
    storageFailures: new Counter({
      name: 'inferq_file_store_failures_total',
      help: 'Operations of the file store that found no answer',
      registers,
    }),
    storedBytes: new Gauge({
      name: 'inferq_stored_bytes',
      help: 'Size of all files and outputs of batches',
      registers,
    }),
    records: new Gauge({
      name: 'inferq_records',
      help: 'What is kept in Redis, by kind',
      labelNames: ['kind'] as const,
      registers,
    }),
    webhookAttempts: new Counter({
      name: 'inferq_webhook_attempts_total',
      help: 'Requests of webhooks by outcome: delivered, retried later, or failed for good',
      labelNames: ['outcome'] as const,
      registers,
    }),
    undeliveredBytes: new Gauge({
      name: 'inferq_webhook_undelivered_bytes',
      help: 'Bodies of webhooks in Redis that are not delivered yet, compressed',
      registers,
    }),
    unknownVersions: new Counter({
      name: 'inferq_unknown_job_versions_total',
      help: 'Jobs of a version that this api does not support, delayed',
      registers,
    }),
    redisErrors: new Counter({ name: 'inferq_redis_errors_total', help: 'Errors of the Redis connections', registers }),
    clockOffset: clockOffset(registers),
  }
}

export function createWorkerMetrics() {
  const registers = [withDefaults()]
  return {
    registry: registers[0] as Registry,
    jobs: new Counter({
      name: 'inferq_worker_jobs_total',
      help: 'Jobs finished by lane and outcome',
      labelNames: ['model', 'lane', 'outcome'] as const,
      registers,
    }),
    texts: new Counter({
      name: 'inferq_worker_texts_total',
      help: 'Texts computed by outcome',
      labelNames: ['model', 'outcome'] as const,
      registers,
    }),
    runs: new Histogram({
      name: 'inferq_run_seconds',
      help: 'Duration of one run of the session',
      labelNames: ['model'] as const,
      buckets: SECONDS,
      registers,
    }),
    runTexts: new Histogram({
      name: 'inferq_run_texts',
      help: 'Texts in one run',
      labelNames: ['model'] as const,
      buckets: POWERS_OF_TWO,
      registers,
    }),
    queueTime: new Histogram({
      name: 'inferq_queue_seconds',
      help: 'Time from the creation of a job to its first run',
      labelNames: ['model', 'lane'] as const,
      buckets: SECONDS,
      registers,
    }),
    bisections: new Counter({
      name: 'inferq_bisected_runs_total',
      help: 'Runs that failed and were split, by cause',
      labelNames: ['model', 'cause'] as const,
      registers,
    }),
    replacedConsumers: new Counter({
      name: 'inferq_replaced_consumers_total',
      help: 'Consumers of a queue that took no waiting jobs and were replaced',
      labelNames: ['model', 'lane'] as const,
      registers,
    }),
    respawns: new Counter({
      name: 'inferq_inference_respawns_total',
      help: 'Inference processes that ended unexpectedly and were restarted',
      registers,
    }),
    unknownVersions: new Counter({
      name: 'inferq_unknown_job_versions_total',
      help: 'Jobs of a version that this worker does not support, delayed',
      registers,
    }),
    redisErrors: new Counter({ name: 'inferq_redis_errors_total', help: 'Errors of the Redis connections', registers }),
    clockOffset: clockOffset(registers),
  }
}

function clockOffset(registers: Registry[]) {
  const help = 'Seconds that the clock of this machine is ahead of that of Redis'
  return new Gauge({ name: 'inferq_clock_offset_seconds', help, registers })
}

function withDefaults(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
