-- What was counted of a limit in each second of the last minute, in a hash: requests in r<second>, tokens in t<second>, both
-- together in R and T, and in o a second before which nothing is left. The same window as the one of a single process.
local clock = redis.call('TIME')
local second = tonumber(clock[1])
local now = second * 1000 + math.floor(clock[2] / 1000)
local KEPT = 61

local function text(number) return string.format('%d', number) end

-- What counts now: requests, tokens. What counts no longer is let go.
local function counted(key)
  local row = redis.call('HMGET', key, 'o', 'R', 'T')
  local oldest, requests, tokens = tonumber(row[1]), tonumber(row[2]) or 0, tonumber(row[3]) or 0
  if not oldest then return 0, 0 end
  local edge = second - KEPT + 1
  if oldest >= edge then return requests, tokens end
  if edge - oldest >= KEPT then
    redis.call('DEL', key)
    return 0, 0
  end
  for gone = oldest, edge - 1 do
    local old = redis.call('HMGET', key, 'r' .. gone, 't' .. gone)
    requests = requests - (tonumber(old[1]) or 0)
    tokens = tokens - (tonumber(old[2]) or 0)
    redis.call('HDEL', key, 'r' .. gone, 't' .. gone)
  end
  redis.call('HSET', key, 'o', text(edge), 'R', text(requests), 'T', text(tokens))
  return requests, tokens
end

-- Counts so much more in a second that is counted already or is this one.
local function add(key, at, requests, tokens)
  redis.call('HSETNX', key, 'o', text(at))
  if requests ~= 0 then
    redis.call('HINCRBY', key, 'r' .. at, text(requests))
    redis.call('HINCRBY', key, 'R', text(requests))
  end
  if tokens ~= 0 then
    redis.call('HINCRBY', key, 't' .. at, text(tokens))
    redis.call('HINCRBY', key, 'T', text(tokens))
  end
  redis.call('EXPIRE', key, KEPT + 1)
end

-- Seconds until the oldest that counts no longer does.
local function until_room(key)
  local oldest = tonumber(redis.call('HGET', key, 'o'))
  if not oldest then return 1 end
  for at = oldest, second do
    local row = redis.call('HMGET', key, 'r' .. at, 't' .. at)
    if (tonumber(row[1]) or 0) > 0 or (tonumber(row[2]) or 0) > 0 then
      -- What is empty need not be looked at again.
      if at > oldest then redis.call('HSET', key, 'o', text(at)) end
      return math.max(at + KEPT - second, 1)
    end
  end
  return 1
end

