-- What one instance has spent of its purses goes in; what all have spent in the running window comes out.
-- KEYS: a counter for each purse. ARGV: two numbers for each: billionths of a dollar to add, and the window in ms (0: none).
local answer = {}
for index = 1, #KEYS do
  local key = KEYS[index]
  local add, window = tonumber(ARGV[index * 2 - 1]), tonumber(ARGV[index * 2])
  if add > 0 then
    redis.call('INCRBY', key, ARGV[index * 2 - 1])
    -- The window begins with the first spending.
    if window > 0 and redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[index * 2]) end
  end
  answer[#answer + 1] = tonumber(redis.call('GET', key) or '0')
  answer[#answer + 1] = math.max(0, redis.call('PTTL', key))
end
return answer
