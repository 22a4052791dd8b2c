// Jobs as lists show them: one round trip for a page, and no large value leaves Redis.
import type { Redis } from 'ioredis'
import { isClustered } from '../redis/keys.ts'
import { NewerVersionError, parseTextsJob, parseTextsResult, type TextsJob, type TextsResult } from './job.ts'
import { type JobRef, type JobSnapshot, lockKey, NO_DATA, resultOf, retriesOf } from './job-state.ts'
import { jobKey, queueTag } from './names.ts'

/** A job as a list shows it: without its position, and without data and rows when they are large. */
export interface JobSummary {
  job: JobSnapshot
  /** What was left out because of its size. */
  omitted: ('input' | 'output')[]
  /** Failed rows of an omitted result. */
  failed: number
}

/**
 * Reads jobs for a list in one round trip.
 * @param maxBytes of data and result of one job. @param budget bytes of all of them together.
 */
export async function readJobSummaries(
  redis: Redis,
  jobs: JobRef[],
  maxBytes: number,
  budget: number,
): Promise<JobSummary[]> {
  const summaries = new Map<JobRef, JobSummary>()
  let left = budget
  for (const group of groupsOf(jobs)) {
    const keys = group.flatMap((job) => [jobKey(job.queue, job.id), lockKey(job)])
    const replies = (await redis.eval(SUMMARIES, keys.length, ...keys, maxBytes, left)) as SummaryReply[]
    replies.forEach((reply, index) => {
      summaries.set(group[index] as JobRef, summaryOf(reply))
      left -= (reply[6]?.length ?? 0) + (reply[7]?.length ?? 0)
    })
  }
  return jobs.map((job) => summaries.get(job) as JobSummary)
}

/** Jobs whose keys are on one node: without a cluster all of them. */
function groupsOf(jobs: JobRef[]): JobRef[][] {
  if (!isClustered) return jobs.length === 0 ? [] : [jobs]
  const groups = new Map<string, JobRef[]>()
  for (const job of jobs) groups.set(queueTag(job.queue), [...(groups.get(queueTag(job.queue)) ?? []), job])
  return [...groups.values()]
}

/** The times and attempts of a job, whether it is locked, data and result (null: none, or left out), and the result's head. */
type SummaryReply = [
  timestamp: string | null,
  processedOn: string | null,
  finishedOn: string | null,
  attempts: string | null,
  attemptsMade: string | null,
  locked: number,
  data: string | null,
  result: string | null,
  head: string | null,
]

/** The head of a result is everything before its rows; `"error":{` occurs in no other place of a result. */
const SUMMARIES = `
local summaries, budget = {}, tonumber(ARGV[2])
for i = 1, #KEYS, 2 do
  local fields = redis.call('HMGET', KEYS[i], 'timestamp', 'processedOn', 'finishedOn', 'ats', 'atm')
  local bytes = redis.call('HSTRLEN', KEYS[i], 'data') + redis.call('HSTRLEN', KEYS[i], 'returnvalue')
  local data, result, head = false, redis.call('HGET', KEYS[i], 'returnvalue'), false
  if bytes <= math.min(tonumber(ARGV[1]), budget) then
    data = redis.call('HGET', KEYS[i], 'data')
    budget = budget - bytes
  elseif result then
    local rows = string.find(result, ',"rows":', 1, true)
    local failed = string.find(result, '"error":{', 1, true) and 1 or 0
    head = rows and string.sub(result, 1, rows - 1) .. ',"objectsFailed":' .. failed .. '}'
    result = false
  end
  table.insert(summaries, {fields[1], fields[2], fields[3], fields[4], fields[5], redis.call('EXISTS', KEYS[i + 1]), data, result, head})
end
return summaries`

/** Never throws: data or a result that cannot be read are left out. */
function summaryOf([
  timestamp,
  processedOn,
  finishedOn,
  attempts,
  attemptsMade,
  locked,
  data,
  result,
  head,
]: SummaryReply): JobSummary {
  if (timestamp === null) return { job: { state: 'missing' }, omitted: [], failed: 0 }
  const readable = data === null ? undefined : readableData(data)
  const omitted: JobSummary['omitted'] = readable === undefined ? ['input'] : []
  const retries = retriesOf(attemptsMade, finishedOn)
  const common = { data: readable ?? NO_DATA, addedAt: Number(timestamp), attempts: Number(attempts ?? 0), retries }
  if (finishedOn === null) {
    if (locked === 0) return { job: { ...common, state: 'waiting', position: undefined }, omitted, failed: 0 }
    const startedAt = Number(processedOn ?? Date.now())
    return { job: { ...common, state: 'active', startedAt }, omitted, failed: 0 }
  }
  const ended = { ...common, finishedOn: Number(finishedOn) }
  const { result: whole, newer } = resultOf(result)
  if (whole) return { job: { ...ended, state: 'completed', result: whole }, omitted, failed: 0 }
  const { parsed, failed, newer: newerHead } = readableHead(head)
  if (!parsed) return { job: { ...ended, state: 'failed', newer: newer ?? newerHead }, omitted, failed }
  return { job: { ...ended, state: 'completed', result: parsed }, omitted: [...omitted, 'output'], failed }
}

function readableData(data: string): TextsJob | undefined {
  try {
    return parseTextsJob(JSON.parse(data))
  } catch {
    return undefined
  }
}

/** A result without its rows, from the members before them. Version 1 has no number of failed rows. */
function readableHead(head: string | null): {
  parsed: TextsResult | undefined
  failed: number
  newer?: NewerVersionError | undefined
} {
  if (head === null) return { parsed: undefined, failed: 0 }
  try {
    const members = JSON.parse(head) as { failed?: number; objectsFailed: number }
    return { parsed: parseTextsResult({ ...members, rows: [] }), failed: members.failed ?? members.objectsFailed }
  } catch (error) {
    return { parsed: undefined, failed: 0, newer: error instanceof NewerVersionError ? error : undefined }
  }
}
