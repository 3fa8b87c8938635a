-- Lets each minute begin once, and none shortly after a later one.
-- KEYS: the last minute. ARGV: minute, how many minutes a clock may be behind.
-- Returns 1, or 0 where it has begun. A last minute far ahead is that of a clock that was wrong.
local ahead = tonumber(redis.call('GET', KEYS[1]) or '-1') - tonumber(ARGV[1])
if ahead >= 0 and ahead <= tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
