-- Corrects what calls that are over have taken: their places are free, and what they used counts.
-- KEYS: for each place of a call the window of its limit, and the calls that run under it.
-- ARGV: for each place the call, the second in which it was counted, requests that count no longer, tokens that were not
-- used, tokens that were used beyond what was expected.
for index = 1, #KEYS / 2 do
  local window, runs = KEYS[2 * index - 1], KEYS[2 * index]
  local from = (index - 1) * 5
  local at, requests, back, more =
    tonumber(ARGV[from + 2]), tonumber(ARGV[from + 3]), tonumber(ARGV[from + 4]), tonumber(ARGV[from + 5])
  redis.call('ZREM', runs, ARGV[from + 1])
  if requests > 0 or back > 0 then
    local row = redis.call('HMGET', window, 'r' .. at, 't' .. at)
    -- What no longer counts is not taken back.
    local less, fewer = math.min(requests, tonumber(row[1]) or 0), math.min(back, tonumber(row[2]) or 0)
    if less > 0 or fewer > 0 then add(window, at, -less, -fewer) end
  end
  if more > 0 then
    counted(window)
    add(window, second, 0, more)
  end
end
return { #KEYS / 2 }
