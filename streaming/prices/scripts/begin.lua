-- Begins a calculation, once for each stock and minute.
-- KEYS: the hash beside the value. ARGV: minute, now.
-- Returns 1, or 0 where it is not asked for, or has begun.
if redis.call('HGET', KEYS[1], 'asked') ~= ARGV[1]
    or redis.call('HSETNX', KEYS[1], 'began_at', ARGV[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'tried_at', ARGV[2])
return 1
