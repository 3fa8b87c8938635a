-- Puts a whole value in the place of the one that was read, with what is known of it beside it.
-- KEYS: value, the hash beside it, stocks.
-- ARGV: whether a value was read, that value, the new one, name, id, its rows, then fields and
--   values of the hash. Other fields of it stay, unless rows are missing (-1: in any case).
-- Returns 1, or 0 where the value is another by now.
local found = redis.call('GET', KEYS[1])
if (found and '1' or '0') ~= ARGV[1] or (found or '') ~= ARGV[2] then
  return 0
end
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[4])
redis.call('SET', KEYS[1], ARGV[3])
if tonumber(ARGV[6]) < tonumber(redis.call('HGET', KEYS[2], 'count') or '0') then
  redis.call('DEL', KEYS[2])
end
redis.call('HSET', KEYS[2], 'length', #ARGV[3])
for i = 7, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
return 1
