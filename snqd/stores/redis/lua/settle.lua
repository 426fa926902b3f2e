-- Settle jobs in hand. ARGV: sender, program's name, number of the call, settlements, heads, records.
-- A settlement is [n, epoch, "a", number of follow-ups], [n, epoch, "r", delay, reason, 1 if it was attempted] or [n, epoch, "g"].
-- Returns the positions, from 1, of those whose receipts were stale, each followed by a blank.
local sender, name, number, settlements, heads, records = unpack(ARGV)
local earlier = answered(name, number)
if earlier then
  return earlier
end
settlements = cjson.decode(settlements)
heads = cut(cjson.decode(heads), records)

local by_epoch = {}
for _, each in ipairs(settlements) do
  local numbers = by_epoch[each[2]] or {}
  by_epoch[each[2]] = numbers
  numbers[#numbers + 1] = each[1]
end

local places = {}
for epoch, numbers in pairs(by_epoch) do
  local found = {}
  for first = 1, #numbers, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #numbers)
    for i, place in ipairs(call('HMGET', 'hand:' .. epoch, unpack(numbers, first, last))) do
      found[numbers[first + i - 1]] = place
    end
  end
  places[epoch] = found
  -- The first write frees memory.
  call_all('HDEL', 'hand:' .. epoch, numbers)
end

local stale, done, follow_ups, at = {}, {}, {}, 0
local time = now()
for i, each in ipairs(settlements) do
  local n, epoch, kind = each[1], each[2], each[3]
  local place = places[epoch][n]
  if not place then
    stale[#stale + 1] = i .. ' '
  else
    let_go(n, place)
    if kind == 'a' then
      done[#done + 1] = n
      for head = at + 1, at + each[4] do
        follow_ups[#follow_ups + 1] = heads[head]
      end
    elseif kind == 'r' then
      local attempt, solo = more_of(n)
      if each[6] == 1 then
        attempt, solo = attempt + 1, false
      end
      set_more(n, attempt, solo and 1 or 0, each[5])
      put_due(n, place, time + each[4], attempt)
    else
      put_back(n, place)
      news = true
    end
  end
  if kind == 'a' then
    at = at + each[4]
  end
end
call_all('HDEL', 'job', done)
if call('EXISTS', 'more') == 1 then
  call_all('HDEL', 'more', done)
end
add(follow_ups)
local text = answer(name, number, table.concat(stale))
write_counts()
wake(sender)
return text
