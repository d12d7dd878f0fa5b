-- Takes a place for a call under all of its limits, or under none of them.
-- KEYS: two for each limit: its window, and the calls that run under it by when their lease ends.
-- ARGV: the call; the tokens it is expected to use; for how many ms it has its place; then for each limit the most requests,
-- tokens and calls at one time, where -1 is any number.
-- Answers 1, the second, and for each limit requests, tokens, calls and seconds until room; or 0, which limit there is no room
-- under (from 0 on), what of it (1: calls, 2: requests, 3: tokens), requests, tokens, calls, seconds until room.
local call, expected, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local taken = { 1, second }

for index = 1, #KEYS / 2 do
  local window, runs = KEYS[2 * index - 1], KEYS[2 * index]
  local from = 3 + (index - 1) * 3
  local rpm, tpm, most = tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2]), tonumber(ARGV[from + 3])
  local requests, tokens = counted(window)
  local running = 0
  if most >= 0 then
    -- Whoever has not said in time that he still runs does not.
    redis.call('ZREMRANGEBYSCORE', runs, '-inf', now)
    running = redis.call('ZCARD', runs)
  end
  local what = 0
  if most >= 0 and running + 1 > most then
    what = 1
  elseif rpm >= 0 and requests + 1 > rpm then
    what = 2
  elseif tpm >= 0 and tokens + math.max(expected, 1) > tpm then
    what = 3
  end
  if what > 0 then
    return { 0, index - 1, what, requests, tokens, running, until_room(window) }
  end
  taken[#taken + 1] = requests + 1
  taken[#taken + 1] = tokens + expected
  taken[#taken + 1] = running + 1
  taken[#taken + 1] = 0
end

for index = 1, #KEYS / 2 do
  local window, runs = KEYS[2 * index - 1], KEYS[2 * index]
  local from = 3 + (index - 1) * 3
  local limited = tonumber(ARGV[from + 1]) >= 0 or tonumber(ARGV[from + 2]) >= 0
  if limited then
    add(window, second, 1, expected)
    taken[2 + index * 4] = until_room(window)
  end
  if tonumber(ARGV[from + 3]) >= 0 then
    redis.call('ZADD', runs, now + lease, call)
    redis.call('PEXPIRE', runs, lease)
  end
end
return taken
