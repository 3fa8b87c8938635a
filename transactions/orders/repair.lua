-- Puts right what orders have taken from a user's credit, where nothing has changed since the look.
-- KEYS: the user's value, the hash beside it.
-- ARGV: value and number of accepted orders expected ('' for no such number), value to set, then
--   fields and values of the hash.
-- Returns 1, or 0 where value or number are others.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1]
    or (redis.call('HGET', KEYS[2], 'orders') or '') ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
return 1
