-- Puts the performance that was calculated into a stock's value and touches nothing else of it.
-- KEYS: value, the hash beside it. ARGV: minute, performance as JSON, now, seconds it took.
-- Returns 1, 0 where it is no longer asked for, or -1 where others have written the value.
local known = redis.call('HMGET', KEYS[2], 'asked', 'asked_price', 'prices_end', 'length')
if known[1] ~= ARGV[1] then
  return 0
end
local tail = '],"performance":'
if redis.call('TYPE', KEYS[1]).ok ~= 'string'
    or redis.call('STRLEN', KEYS[1]) ~= tonumber(known[4])
    or redis.call('GETRANGE', KEYS[1], known[3], known[3] + #tail - 1) ~= tail then
  return -1
end
local value = redis.call('GET', KEYS[1])
value = string.sub(value, 1, tonumber(known[3])) .. tail .. ARGV[2] .. '}'
redis.call('SET', KEYS[1], value)
redis.call('HSET', KEYS[2], 'length', #value, 'performance', ARGV[2],
  'calculated_price', known[2], 'calculated_at', ARGV[3], 'calculation_seconds', ARGV[4])
redis.call('HDEL', KEYS[2], 'asked', 'asked_price', 'asked_at', 'began_at', 'failure', 'failed_at')
return 1
