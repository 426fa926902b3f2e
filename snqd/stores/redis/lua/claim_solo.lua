-- Take the longest waiting suspect of some queues, unless one is in hand. ARGV[1]: {name, epoch, session, queues}.
local PAGE = 100

if not registered() then
  return 'lost'
end
local time = now()
promote(time)

local wanted = {}
for _, queue in ipairs(request.queues) do
  wanted[queue] = true
end

local function in_hand()
  for _, queue in ipairs(call('HVALS', 'alone')) do
    if wanted[queue] then
      return true
    end
  end
  return false
end

local function first_suspect()
  local first = 0
  while true do
    local members = call('ZRANGE', 'solo', first, first + PAGE - 1)
    for _, member in ipairs(members) do
      local _, place = member_parts(member)
      if wanted[parts_of(place)] and not paused(place) then
        return member
      end
    end
    if #members < PAGE then
      return nil
    end
    first = first + PAGE
  end
end

local suspect = not in_hand() and first_suspect()
if suspect then
  local n, place = member_parts(suspect)
  call('ZREM', 'solo', suspect)
  count('waits', place, -1)
  hand_over(place, { n })
  call('HSET', 'alone', n, (parts_of(place)))
end
return reply(time, {})
