-- Calls that still run keep their places.
-- KEYS: for each place the calls that run under its limit. ARGV: for how many ms; then for each place its call.
local lease = tonumber(ARGV[1])
for index = 1, #KEYS do
  redis.call('ZADD', KEYS[index], now + lease, ARGV[index + 1])
  redis.call('PEXPIRE', KEYS[index], lease)
end
return { #KEYS }
