-- Asks for the calculation of a stock's performance with its newest price.
-- KEYS: the hash beside the value. ARGV: minute, now, price last calculated with ('' for none), why
--   the one asked for before came to nothing ('' where none was).
-- Returns the price, or false where there is none or another has been calculated meanwhile.
local known = redis.call('HMGET', KEYS[1], 'latest', 'calculated_price')
if (known[1] or '') == '' or (known[2] or '') ~= ARGV[3] or known[1] == known[2] then
  return false
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'failure', ARGV[4], 'failed_at', ARGV[2])
end
redis.call('HDEL', KEYS[1], 'began_at')
redis.call('HSET', KEYS[1], 'asked', ARGV[1], 'asked_price', known[1], 'asked_at', ARGV[2])
return known[1]
