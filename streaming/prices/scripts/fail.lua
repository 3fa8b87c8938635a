-- Ends a calculation without a result; the next minute asks again.
-- KEYS: the hash beside the value. ARGV: minute, why, now.
-- Returns 1, or 0 where it is no longer asked for.
if redis.call('HGET', KEYS[1], 'asked') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'failure', ARGV[2], 'failed_at', ARGV[3])
redis.call('HDEL', KEYS[1], 'asked', 'asked_price', 'asked_at', 'began_at')
return 1
