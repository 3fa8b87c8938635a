-- The end of each history, read at one moment.
-- KEYS: of each stock its value and the hash beside it. ARGV: bytes of times, bytes of prices.
-- Returns of each stock the ends of its lists as text, perhaps cut within their first element, and
--   whether they are whole; false where its value is not ours.
local MIDDLE = 10  -- bytes of ,"price":[
local found = {}
for i = 1, #KEYS, 2 do
  local known = redis.call('HMGET', KEYS[i + 1], 'times_start', 'times_end', 'prices_end', 'length')
  local start, times_end = tonumber(known[1]), tonumber(known[2])
  local prices_end = tonumber(known[3])
  if start and redis.call('TYPE', KEYS[i]).ok == 'string'
      and redis.call('STRLEN', KEYS[i]) == tonumber(known[4]) then
    local prices_start = times_end + 1 + MIDDLE
    local times_from = math.max(start, times_end - tonumber(ARGV[1]))
    local prices_from = math.max(prices_start, prices_end - tonumber(ARGV[2]))
    local times, prices = '', ''
    if times_end > start then
      times = redis.call('GETRANGE', KEYS[i], times_from, times_end - 1)
      prices = redis.call('GETRANGE', KEYS[i], prices_from, prices_end - 1)
    end
    found[#found + 1] = {times, prices, times_from == start and 1 or 0,
      prices_from == prices_start and 1 or 0}
  else
    found[#found + 1] = false
  end
end
return found
