-- Applies one batch of one place, all of it or nothing, and sets how far the place has come.
-- KEYS: positions, dead letters, their count, stocks, then of each stock its value and the hash
--   beside it.
-- ARGV: place, position expected ('' for none), next position, now, dead letters kept, topic id,
--   number of dead letters, number of stocks, next version of those that change;
--   of each dead letter: at, reason, detail, raw, bytes of raw;
--   of each stock: name, version ('' for a new one), id wished for, number of rows (with 0 only
--   the version is compared), their times, their prices, newest price ('' for none), its time, rows to keep (0 for all), number of
--   sources, and of each source its name and last row.
-- Returns {'applied'}, {'moved', position found} or {'changed', names of stocks}.
local MIDDLE = '],"price":['
local TAIL = '],"performance":'
local LONGEST = 500 * 1024 * 1024  -- texts of Redis end at 512 MiB

-- An error in the middle of the changes would leave half of them.
local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == 'none' or found == kind
end
if not (is(KEYS[1], 'hash') and is(KEYS[2], 'stream') and is(KEYS[4], 'zset')
    and tonumber(redis.call('GET', KEYS[3]) or '0')) then
  return redis.error_reply('STRANGE one of ' .. table.concat({unpack(KEYS, 1, 4)}, ', ')
    .. ' holds something else')
end

local function is_ours(key, length, times_end, prices_end)
  -- Others may have written a text of the same length.
  return redis.call('STRLEN', key) == tonumber(length)
    and redis.call('GETRANGE', key, times_end, times_end + #MIDDLE - 1) == MIDDLE
    and redis.call('GETRANGE', key, prices_end, prices_end + #TAIL - 1) == TAIL
end

local found = redis.call('HGET', KEYS[1], ARGV[1])
if (found or '') ~= ARGV[2] then
  return {'moved', found or ''}
end

local at = 10
local letters_at = at
at = at + 5 * tonumber(ARGV[7])
local stocks = {}
local changed = {'changed'}
for number = 1, tonumber(ARGV[8]) do
  local stock = {
    key = KEYS[3 + 2 * number], side = KEYS[4 + 2 * number], name = ARGV[at],
    version = ARGV[at + 1], id = ARGV[at + 2], rows = tonumber(ARGV[at + 3]),
    times = ARGV[at + 4], prices = ARGV[at + 5], latest = ARGV[at + 6],
    latest_time = ARGV[at + 7], kept = tonumber(ARGV[at + 8]), sources = {}}
  local sources = 2 * tonumber(ARGV[at + 9])
  for i = at + 10, at + 9 + sources do
    stock.sources[#stock.sources + 1] = ARGV[i]
  end
  at = at + 10 + sources
  stocks[number] = stock
  if not is(stock.side, 'hash') then
    return redis.error_reply('STRANGE ' .. stock.side .. ' holds something else')
  end
  if stock.version == '' then
    if redis.call('EXISTS', stock.key) == 1 then
      changed[#changed + 1] = stock.name
    end
  else
    local known = redis.call('HMGET', stock.side, 'version', 'length', 'times_end', 'prices_end')
    if known[1] ~= stock.version or redis.call('TYPE', stock.key).ok ~= 'string'
        or not is_ours(stock.key, known[2], known[3], known[4]) then
      changed[#changed + 1] = stock.name
    elseif stock.kept == 0 and tonumber(known[2]) + #stock.times + #stock.prices > LONGEST then
      return redis.error_reply('FULL the history of ' .. stock.name
        .. ' is as long as Redis allows: set PRICES_HISTORY_KEPT')
    end
  end
end
if #changed > 1 then
  return changed
end

local function begin(stock)
  -- The one it had, else the one wished for where it is free, else the one behind the highest.
  local had = redis.call('ZSCORE', KEYS[4], stock.name)
  local id = had and string.format('%.0f', tonumber(had)) or stock.id
  if had then
    redis.call('ZREM', KEYS[4], stock.name)
  end
  if id == '' or #redis.call('ZRANGEBYSCORE', KEYS[4], id, id, 'LIMIT', 0, 1) > 0 then
    local last = redis.call('ZREVRANGE', KEYS[4], 0, 0, 'WITHSCORES')
    id = string.format('%.0f', (tonumber(last[2]) or 0) + 1)
  end
  redis.call('ZADD', KEYS[4], id, stock.name)
  local head = '{"id":' .. id .. ',"time":['
  redis.call('SET', stock.key, head .. MIDDLE .. '],"performance":0}')
  redis.call('DEL', stock.side)
  redis.call('HSET', stock.side, 'count', 0, 'times_start', #head,
    'times_end', #head, 'prices_end', #head + #MIDDLE, 'performance', 0)
end

local function newest(list, rows)
  -- The last `rows` of a list of which there are more.
  local commas = 0
  for position = #list, 1, -1 do
    if string.byte(list, position) == 44 then
      commas = commas + 1
      if commas == rows then
        return string.sub(list, position + 1)
      end
    end
  end
  return list
end

local function oldest_cut(list, rows)
  local position = 0
  for _ = 1, rows do
    position = string.find(list, ',', position + 1, true)
  end
  return string.sub(list, position + 1)
end

local function cut(list, kept, surplus)
  if surplus <= kept then
    return oldest_cut(list, surplus)
  end
  return newest(list, kept)
end

local function append(stock)
  local known = redis.call('HMGET', stock.side, 'count', 'times_start', 'times_end', 'prices_end')
  local count, start = tonumber(known[1]), tonumber(known[2])
  local times_end, prices_end = tonumber(known[3]), tonumber(known[4])
  local comma = count > 0 and ',' or ''
  local added_times, added_prices = comma .. stock.times, comma .. stock.prices
  local surplus = stock.kept > 0 and count + stock.rows - stock.kept or 0
  if surplus > 0 then
    local value = redis.call('GET', stock.key)
    local times = cut(string.sub(value, start + 1, times_end) .. added_times, stock.kept, surplus)
    local prices = cut(string.sub(value, times_end + #MIDDLE + 1, prices_end) .. added_prices,
      stock.kept, surplus)
    redis.call('SET', stock.key, string.sub(value, 1, start) .. times .. MIDDLE .. prices
      .. string.sub(value, prices_end + 1))
    redis.call('HINCRBY', stock.side, 'cut', surplus)  -- numbers rows for who reads on
    count = stock.kept
    times_end = start + #times
    prices_end = times_end + #MIDDLE + #prices
  else
    -- What stands before the new times stays where it is.
    local rest = redis.call('GETRANGE', stock.key, times_end, -1)
    local prices = prices_end - times_end
    redis.call('SETRANGE', stock.key, times_end, added_times .. string.sub(rest, 1, prices)
      .. added_prices .. string.sub(rest, prices + 1))
    count = count + stock.rows
    times_end = times_end + #added_times
    prices_end = prices_end + #added_times + #added_prices
  end
  redis.call('HSET', stock.side, 'count', count, 'times_end', times_end,
    'prices_end', prices_end, 'length', redis.call('STRLEN', stock.key), 'updated_at', ARGV[4],
    'version', ARGV[9])
  if stock.latest ~= '' then
    redis.call('HSET', stock.side, 'latest', stock.latest, 'latest_time', stock.latest_time)
  end
  for i = 1, #stock.sources, 2 do
    redis.call('HSET', stock.side, 'source:' .. stock.sources[i], stock.sources[i + 1])
  end
end

for _, stock in ipairs(stocks) do
  if stock.rows > 0 then
    if stock.version == '' then
      begin(stock)
    end
    append(stock)
  end
end
for i = letters_at, letters_at + 5 * tonumber(ARGV[7]) - 1, 5 do
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], '*', 'place', ARGV[1], 'at', ARGV[i],
    'reason', ARGV[i + 1], 'detail', ARGV[i + 2], 'raw', ARGV[i + 3],
    'raw_bytes', ARGV[i + 4], 'topic_id', ARGV[6])
end
if tonumber(ARGV[7]) > 0 then
  redis.call('INCRBY', KEYS[3], ARGV[7])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return {'applied'}
