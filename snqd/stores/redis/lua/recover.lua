-- Free what a dead process had claimed. ARGV: sender, name, ids of suspects, cause (a JSON text). Returns how many.
local sender, name, suspects, cause = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), ARGV[4]
local epoch = owner_of(name)
if not epoch then
  return 0
end

local is_suspect = {}
for _, id in ipairs(suspects) do
  is_suspect[id] = true
end

local function suspect(n)
  if #suspects == 0 then
    return false
  end
  local record = call('HGET', 'job', n) or ''
  return is_suspect[string.match(record, '^%S+')]
end

local hand = call('HGETALL', 'hand:' .. epoch)
call('DEL', 'hand:' .. epoch)
for i = 1, #hand, 2 do
  local n, place = tonumber(hand[i]), hand[i + 1]
  let_go(n, place)
  if suspect(n) then
    set_more(n, more_of(n) + 1, 1, cause)
    put_solo(n, place)
  else
    put_back(n, place)
  end
end
call('HDEL', 'owner', name)
call('HDEL', 'beat', name)
news = news or #hand > 0
write_counts()
wake(sender)
return #hand / 2
