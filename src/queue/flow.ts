// Fair order of a queue and its load: start-time fair queueing on BullMQ's priorities, with a ledger of the work that is in
// the queue.
import type { Redis } from 'ioredis'
import { type RedisCommand, sendAll } from '../redis/commands.ts'
import { jobKey, queueKey, queueRecordKey } from './names.ts'

/** The owner of a job and its size; jobs of one owner are one flow. */
export interface Flow {
  /** The API key's owner. */
  owner: string
  /** Relative share of the compute. */
  weight: number
  /** Estimated milliseconds of one inference process. */
  work: number
  /** Epoch milliseconds by which the caller wants the end; undefined: no deadline. */
  due?: number | undefined
  /** Whether a job that exists is entered, which has ended and runs again. */
  again?: boolean
}

/** The work in a queue, waiting or running. */
export interface QueueLoad {
  jobs: number
  /** Milliseconds of one inference process, by owner. */
  owners: ReadonlyMap<string, number>
}

/** Milliseconds of work that advance a tag by one; BullMQ's priorities are whole numbers. */
const TAG_MS = 10
/** BullMQ's largest priority is 2^21 - 1. */
const MAX_TAG = 2 ** 21 - 1
/** From this virtual time on the tags of the queue are lowered. */
const REBASE_TAG = 2 ** 20

const tagsKey = (queue: string) => queueRecordKey('tags', queue)
const workKey = (queue: string) => queueRecordKey('work', queue)
const jobsKey = (queue: string) => queueRecordKey('work-jobs', queue)
/** The jobs of an owner that have a deadline, by it. */
const dueKey = (queue: string, owner: string) => queueRecordKey('work-due', queue, owner)

/**
 * Enters a job into the ledger and computes its start tag: the maximum of the queue's virtual time and the finish tag of
 * the owner's last job (Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996). The virtual time is the tag of the next
 * waiting job; an empty queue begins again, so an idle owner gets no credit.
 * @returns the tag, which is the priority to add the job with; undefined when the job exists.
 */
export async function enterJob(redis: Redis, queue: string, jobId: string, flow: Flow): Promise<number | undefined> {
  const { owner, weight, work, due = '', again = false } = flow
  const name = queueKey(queue)
  const keys = [
    jobKey(queue, jobId),
    tagsKey(queue),
    workKey(queue),
    jobsKey(queue),
    `${name}:prioritized`,
    `${name}:active`,
    `${name}:wait`,
    `${name}:delayed`,
    dueKey(queue, owner),
  ]
  const limits = [TAG_MS, MAX_TAG, REBASE_TAG, Date.now(), DUE_MARGIN_MS, again ? 'again' : '']
  const tag = await redis.eval(ENTER, keys.length, ...keys, jobId, owner, weight, Math.ceil(work), due, ...limits)
  return tag === null ? undefined : Number(tag)
}

/** Milliseconds that an entry of a deadline outlives it. */
const DUE_MARGIN_MS = 60_000

const ENTER = `
local job, tags, work, jobs, prioritized, active, wait, delayed, dues = unpack(KEYS)
local id, owner, weight, ms, due, tag_ms, max_tag, rebase_tag, now_ms, margin, again = unpack(ARGV)
if again == '' and redis.call('EXISTS', job) == 1 then return nil end
local base = 4294967296
local head = redis.call('ZRANGE', prioritized, 0, 0, 'WITHSCORES')
local now = 1
if head[2] then
  now = math.max(math.floor(head[2] / base), tonumber(redis.call('HGET', tags, ':now') or 1))
elseif redis.call('LLEN', active) + redis.call('LLEN', wait) + redis.call('ZCARD', delayed) == 0 then
  redis.call('DEL', tags, work, jobs)
else
  now = tonumber(redis.call('HGET', tags, ':now') or 1)
end
if now > tonumber(rebase_tag) then
  local shift = now - 1
  local all = redis.call('ZRANGE', prioritized, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do redis.call('ZADD', prioritized, math.max(all[i + 1] - shift * base, base), all[i]) end
  local flows = redis.call('HGETALL', tags)
  for i = 1, #flows, 2 do redis.call('HSET', tags, flows[i], math.max(flows[i + 1] - shift, 1)) end
  now = 1
end
local start = math.max(now, tonumber(redis.call('HGET', tags, owner) or 1))
redis.call('HSET', tags, ':now', now, owner, tostring(start + ms / tag_ms / weight))
if due ~= '' then
  redis.call('ZREMRANGEBYSCORE', dues, '-inf', now_ms - margin)
  redis.call('ZADD', dues, due, id)
  local latest = redis.call('ZRANGE', dues, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', dues, string.format('%.0f', latest + margin))
end
if redis.call('HSETNX', jobs, id, ms .. ' ' .. owner) == 1 then redis.call('HINCRBY', work, owner, ms) end
return math.min(math.floor(start), tonumber(max_tag))`

/** Removes a job that has ended, or was removed, from the ledger. Repeating it is harmless. */
export async function leaveJob(redis: Redis, queue: string, jobId: string): Promise<void> {
  await redis.eval(LEAVE, 3, workKey(queue), jobsKey(queue), dueKey(queue, ''), jobId)
}

/** The third key is that of an owner's deadlines without the owner, whose name is in the ledger. */
const LEAVE = `
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if not entry then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
local space = string.find(entry, ' ', 1, true)
local owner = string.sub(entry, space + 1)
redis.call('ZREM', KEYS[3] .. owner, ARGV[1])
if redis.call('HINCRBY', KEYS[1], owner, '-' .. string.sub(entry, 1, space - 1)) <= 0 then
  redis.call('HDEL', KEYS[1], owner)
end
return 1`

/**
 * The load of each queue, in one round trip. A job whose worker died between its end and leaveJob stays in the ledger
 * until the queue is empty, so the work is scaled to the jobs that BullMQ has.
 * @param depths jobs of each queue, waiting, delayed and running.
 */
export async function readLoads(redis: Redis, queues: string[], depths: number[]): Promise<QueueLoad[]> {
  const replies = await sendAll(
    redis,
    queues.flatMap((queue): RedisCommand[] => [
      ['hgetall', workKey(queue)],
      ['hlen', jobsKey(queue)],
    ]),
  )
  return queues.map((_queue, index) => {
    const [work, entered] = replies.slice(2 * index, 2 * index + 2) as [Record<string, string>, number]
    const jobs = depths[index] ?? 0
    const scale = jobs < entered ? jobs / entered : 1
    return { jobs, owners: new Map(Object.entries(work).map(([owner, ms]) => [owner, Number(ms) * scale])) }
  })
}

/** Entries of deadlines that are looked at for one turn; most are of waiting jobs. */
const MAX_CANDIDATES = 16

/**
 * Gives the turn of a job that its worker has just taken to the owner's waiting job that is due first, if that is due before
 * this one: the two exchange their tags, and the worker has to put this one back.
 * @returns whether it was given away.
 */
export async function giveTurn(
  redis: Redis,
  queue: string,
  jobId: string,
  { owner, due }: Pick<Flow, 'owner' | 'due'>,
): Promise<boolean> {
  const keys = [dueKey(queue, owner), `${queueKey(queue)}:prioritized`, jobKey(queue, '')]
  return (
    (await redis.eval(GIVE, keys.length, ...keys, jobId, due === undefined ? '+inf' : `(${due}`, MAX_CANDIDATES)) === 1
  )
}

/** The third key is that of a job without its id. A job without a tag runs before all others and keeps its turn. */
const GIVE = `
local dues, prioritized, job, base = KEYS[1], KEYS[2], KEYS[3] .. ARGV[1], 4294967296
local candidates = redis.call('ZRANGE', dues, '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[3])
if #candidates == 0 then return 0 end
local own = tonumber(redis.call('HGET', job, 'priority') or 0)
if own == 0 then return 0 end
for _, id in ipairs(candidates) do
  local score = id ~= ARGV[1] and redis.call('ZSCORE', prioritized, id)
  if score then
    local tag = math.floor(score / base)
    if tag <= own then return 0 end
    redis.call('ZADD', prioritized, own * base, id)
    redis.call('HSET', KEYS[3] .. id, 'priority', own)
    redis.call('HSET', job, 'priority', tag)
    return 1
  end
end
return 0`

/** Jobs of a sorted set that are read one by one; of more, as many are sampled evenly. This takes Redis 0.5 ms. */
const MAX_READ = 64

/** Defines `sampled_work`: the work of the first `count` jobs of a sorted set. */
const SAMPLED_WORK = `
local function work_of(jobs, id)
  local entry = redis.call('HGET', jobs, id)
  return entry and tonumber(string.sub(entry, 1, string.find(entry, ' ', 1, true) - 1)) or 0
end
local function sampled_work(jobs, set, count, max_read)
  local total, stride = 0, math.max(1, math.ceil(count / max_read))
  for index = 0, count - 1, stride do
    local ids = redis.call('ZRANGE', set, index, index)
    if ids[1] then total = total + math.min(stride, count - index) * work_of(jobs, ids[1]) end
  end
  return total
end`.trim()

/** Milliseconds of one process that an owner's jobs with a deadline until `due` take, waiting or running. */
export async function readWorkDue(redis: Redis, queue: string, owner: string, due: number): Promise<number> {
  return Number(await redis.eval(DUE, 2, jobsKey(queue), dueKey(queue, owner), due, MAX_READ))
}

const DUE = `${SAMPLED_WORK}
return math.floor(sampled_work(KEYS[1], KEYS[2], redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[1]), ARGV[2]))`

/** Milliseconds of one process that run before a waiting job: the jobs before it, and half of each running job. */
export async function readWorkBefore(redis: Redis, queue: string, jobId: string): Promise<number> {
  const name = queueKey(queue)
  const keys = [jobsKey(queue), `${name}:prioritized`, `${name}:active`]
  return Number(await redis.eval(BEFORE, keys.length, ...keys, jobId, MAX_READ))
}

const BEFORE = `${SAMPLED_WORK}
local rank = redis.call('ZRANK', KEYS[2], ARGV[1])
if not rank then return 0 end
local total = sampled_work(KEYS[1], KEYS[2], rank, ARGV[2])
for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, ARGV[2] - 1)) do total = total + work_of(KEYS[1], id) / 2 end
return math.floor(total)`
