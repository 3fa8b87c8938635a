-- Forgets the histories of stocks, keeps what else their values say and their ids.
-- KEYS: positions, then of each stock its value and the hash beside it.
-- ARGV: place that is forgotten too, version. Returns how many stocks were cleared: a key that holds
-- something else by now stays as it is.
local MIDDLE, TAIL = '],"price":[', '],"performance":0}'
local cleared = 0
for i = 2, #KEYS, 2 do
  local key, side = KEYS[i], KEYS[i + 1]
  local known = redis.call('HMGET', side, 'times_start', 'times_end', 'length')
  if known[1] and redis.call('TYPE', key).ok == 'string'
      and redis.call('STRLEN', key) == tonumber(known[3])
      and redis.call('GETRANGE', key, known[2], known[2] + #MIDDLE - 1) == MIDDLE then
    local start = tonumber(known[1])
    local value = (start > 0 and redis.call('GETRANGE', key, 0, start - 1) or '') .. MIDDLE .. TAIL
    redis.call('SET', key, value)
    redis.call('DEL', side)
    redis.call('HSET', side, 'version', ARGV[2], 'count', 0, 'times_start', start,
      'times_end', start, 'prices_end', start + #MIDDLE, 'length', #value, 'performance', 0)
    cleared = cleared + 1
  end
end
redis.call('HDEL', KEYS[1], ARGV[1])
return cleared
