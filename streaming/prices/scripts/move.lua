-- Sets how far a place has been worked off. KEYS: positions.
-- ARGV: place, position expected ('' for none), next position.
-- Returns 1, or 0 where it is at another.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
