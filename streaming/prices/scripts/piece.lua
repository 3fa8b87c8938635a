-- A piece of a history, read at one moment.
-- KEYS: value, the hash beside it.
-- ARGV: bytes of times that are left out at the beginning, the same of prices, bytes of times that
--   are wanted, the same of prices.
-- Returns rows cut off at the beginning so far, rows there are, times, prices, and whether each of
--   the two is to the end; false where the value is not ours.
local MIDDLE = 10  -- bytes of ,"price":[
local known = redis.call('HMGET', KEYS[2], 'times_start', 'times_end', 'prices_end', 'length',
  'cut', 'count')
if not known[1] or redis.call('TYPE', KEYS[1]).ok ~= 'string'
    or redis.call('STRLEN', KEYS[1]) ~= tonumber(known[4]) then
  return false
end

local function piece(start, ends, left_out, wanted)
  local from = start + tonumber(left_out)
  local to = math.min(ends, from + tonumber(wanted))
  if from >= to then
    return '', 1
  end
  return redis.call('GETRANGE', KEYS[1], from, to - 1), to == ends and 1 or 0
end

local times_end = tonumber(known[2])
local times, times_whole = piece(tonumber(known[1]), times_end, ARGV[1], ARGV[3])
local prices, prices_whole = piece(times_end + 1 + MIDDLE, tonumber(known[3]), ARGV[2], ARGV[4])
return {tonumber(known[5] or 0), tonumber(known[6]), times, prices, times_whole, prices_whole}
