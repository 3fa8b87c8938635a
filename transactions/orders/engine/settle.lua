-- Decides one order on its user's credit: once, whoever asks how often.
-- KEYS: the user's value, the hash beside it, settled orders, the same by time.
-- ARGV: order, unix seconds after which it is too late, what is expected: kind of the user's value
--   ('none' or 'string'; 'any' to compare nothing: a denial of what can't be read), the value ('' for
--   none), number of accepted orders ('' for none); the value to set ('' for none), the decision,
--   then fields and values of the hash.
-- Returns {'settled', decision}, {'changed'} where the user is another than expected, or {'late'}.
local function kind(key)
  return redis.call('TYPE', key).ok
end

local decided = redis.call('HGET', KEYS[3], ARGV[1])
if decided then
  return {'settled', decided}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
if now > tonumber(ARGV[2]) then
  return {'late'}
end
local side = kind(KEYS[2])
if ARGV[3] ~= 'any' and (kind(KEYS[1]) ~= ARGV[3] or (side ~= 'none' and side ~= 'hash')
    or (redis.call('GET', KEYS[1]) or '') ~= ARGV[4]
    or (redis.call('HGET', KEYS[2], 'orders') or '') ~= ARGV[5]) then
  return {'changed'}
end
-- What can fail comes before the first change.
local times = kind(KEYS[4])
if times ~= 'none' and times ~= 'zset' then
  return redis.error_reply('STRANGE ' .. KEYS[4] .. ' holds something else')
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[7])
redis.call('ZADD', KEYS[4], string.format('%.6f', now), ARGV[1])
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[1], ARGV[6], 'KEEPTTL')
  redis.call('HSET', KEYS[2], unpack(ARGV, 8))
end
return {'settled', ARGV[7]}
