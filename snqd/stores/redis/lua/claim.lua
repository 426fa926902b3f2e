-- Take jobs, in turn among sites. ARGV[1]: {name, epoch, session,
-- wants: [[queue, room, ordered, site served last, {site: jobs held}, sites to look at]...]}.
if not registered() then
  return 'lost'
end
local time = now()
promote(time)
write_counts() -- they are read below

local function held_back(place)
  return call('HEXISTS', 'busy', place) == 1 or call('HEXISTS', 'waits', place) == 1
end

-- The next sites between two ends of the ring that have something for this want, at most `limit` with those in `offers`.
local function look(offers, queue, want_room, ordered, first, last, limit)
  local from = first
  while #offers < limit do
    local sites = call('ZRANGEBYLEX', 'sites:' .. queue, from, last, 'LIMIT', 0, limit)
    for _, site in ipairs(sites) do
      local place = queue .. ' ' .. site
      if #offers < limit and not paused(place) and not (ordered and held_back(place)) then
        local number = call('LLEN', 'ready:' .. place) + call('ZCARD', 'back:' .. place)
        offers[#offers + 1] = { site = site, number = math.min(number, want_room) }
      end
    end
    if #sites < limit then
      return
    end
    from = '(' .. sites[#sites]
  end
end

-- The same as snqd.stores.share_out: always the next one of the site that would then hold the least.
local function share_out(room, offers, held)
  local left = offers
  for _, offer in ipairs(offers) do
    offer.taken, offer.level = 0, held[offer.site] or 0
  end
  while room > 0 and #left > 0 do
    local least, still = math.huge, {}
    for _, offer in ipairs(left) do
      least = math.min(least, offer.level)
    end
    for _, offer in ipairs(left) do
      if room > 0 and offer.level == least and offer.taken < offer.number then
        offer.taken, offer.level, room = offer.taken + 1, offer.level + 1, room - 1
      end
      if offer.taken < offer.number then
        still[#still + 1] = offer
      end
    end
    left = still
  end
end

-- The first jobs of a share, by n, out of the two places where they may be.
local function take(place, number)
  local fresh = call('LRANGE', 'ready:' .. place, 0, number - 1)
  local back = call('ZRANGE', 'back:' .. place, 0, number - 1)
  local numbers, from_fresh, from_back = {}, 0, {}
  while #numbers < number and (fresh[from_fresh + 1] or back[#from_back + 1]) do
    local a, b = tonumber(fresh[from_fresh + 1]), tonumber(back[#from_back + 1])
    if b == nil or (a and a < b) then
      numbers[#numbers + 1], from_fresh = a, from_fresh + 1
    else
      numbers[#numbers + 1], from_back[#from_back + 1] = b, b
    end
  end
  if from_fresh > 0 then
    call('LTRIM', 'ready:' .. place, from_fresh, -1)
  end
  if #from_back > 0 then
    call('ZREM', 'back:' .. place, unpack(from_back))
  end
  return numbers
end

local function close_if_empty(queue, site, place)
  if call('EXISTS', 'ready:' .. place) == 0 and call('EXISTS', 'back:' .. place) == 0 then
    call('ZREM', 'sites:' .. queue, site)
  end
end

local function serve(queue, offer)
  local place = queue .. ' ' .. offer.site
  local left = offer.taken
  while left > 0 and bytes < MAX_BYTES do
    local numbers = take(place, math.min(left, SLICE))
    if #numbers == 0 then
      break
    end
    hand_over(place, numbers)
    left = left - #numbers
  end
  cut = cut or bytes >= MAX_BYTES
  close_if_empty(queue, offer.site, place)
  return left < offer.taken
end

local cursors = {}
for _, want in ipairs(request.wants) do
  local queue, room, ordered, cursor, held, limit = unpack(want)
  if not pauses[queue .. ' '] then
    local offers, each_room = {}, ordered and 1 or room
    if cursor == '' then
      look(offers, queue, each_room, ordered, '-', '+', limit)
    else
      look(offers, queue, each_room, ordered, '(' .. cursor, '+', limit)
      look(offers, queue, each_room, ordered, '-', '[' .. cursor, limit)
    end
    share_out(room, offers, held)
    local served
    for _, offer in ipairs(offers) do
      if offer.taken > 0 and serve(queue, offer) then
        served = offer.site
      end
    end
    if served then
      cursors[#cursors + 1] = '"' .. queue .. '":"' .. served .. '"'
    end
  end
end
return reply(time, cursors)
