-- What one instance did and claims goes in; what the others did, and what it is granted, comes out. Times are Redis's.
-- KEYS: the instances, by when they were last heard; then a hash for each deployment.
-- ARGV: this instance; whether it stays; for how many ms one lives, and its minute counts; 13 numbers a deployment.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local me, stays, lives, counts = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
if stays then redis.call('ZADD', KEYS[1], now, me) else redis.call('ZREM', KEYS[1], me) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - lives)
redis.call('PEXPIRE', KEYS[1], counts)
local answer = { redis.call('ZCARD', KEYS[1]) }

local function numbers(text)
  local list = {}
  for word in string.gmatch(text, '%S+') do list[#list + 1] = tonumber(word) end
  return list
end

-- A limit below zero: there is none.
local function grant(kept, asked, limit, theirs)
  if limit < 0 then return 0 end
  return math.max(kept, math.min(asked, limit - theirs))
end

for index = 2, #KEYS do
  local key, from = KEYS[index], 4 + (index - 2) * 13
  local own = {}
  for n = 1, 13 do own[n] = tonumber(ARGV[from + n]) end
  local rest = 0
  local flying, requests, tokens, successes, failures, want = 0, 0, 0, 0, 0, 0
  local claimed, claimed_tokens = 0, 0
  local rows = redis.call('HGETALL', key)
  for row = 1, #rows, 2 do
    local name = rows[row]
    if name == 'rest' then
      rest = tonumber(rows[row + 1])
    elseif name ~= me then
      local it = numbers(rows[row + 1])
      local age = now - it[1]
      if age > counts then
        redis.call('HDEL', key, name)
      else
        requests, tokens = requests + it[3], tokens + it[4]
        successes, failures = successes + it[5], failures + it[6]
        if age <= lives then
          flying, want = flying + it[2], math.max(want, it[7])
          claimed, claimed_tokens = claimed + it[8], claimed_tokens + it[9]
        else
          -- Of one that is gone only what it used counts, until its minute is over.
          claimed, claimed_tokens = claimed + it[3], claimed_tokens + it[4]
        end
      end
    end
  end
  local granted = grant(own[7], own[8], own[9], claimed)
  local granted_tokens = grant(own[10], own[11], own[12], claimed_tokens)
  if own[13] > 0 and now + own[13] > rest then
    rest = now + own[13]
    redis.call('HSET', key, 'rest', string.format('%.0f', rest))
  end
  local row = { now, own[1], own[2], own[3], own[4], own[5], own[6], granted, granted_tokens }
  for n = 1, #row do row[n] = string.format('%.0f', row[n]) end
  redis.call('HSET', key, me, table.concat(row, ' '))
  redis.call('PEXPIRE', key, string.format('%.0f', math.max(counts, rest - now)))
  local told = { flying, requests, tokens, successes, failures, want, granted, granted_tokens, math.max(0, rest - now) }
  for n = 1, #told do answer[#answer + 1] = told[n] end
end
return answer
