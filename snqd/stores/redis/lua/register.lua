-- Make a process an owner of claims, or take its new connection to the knowledge. ARGV: name, session, numbers in hand.
-- Sessions only grow: a call that was stuck on an earlier connection changes nothing. Returns the epoch, 0 for such a call.
-- What the process holds without knowing it, since a claim's answer was lost, is freed.
local name, session, known = ARGV[1], tonumber(ARGV[2]), cjson.decode(ARGV[3])
local epoch, last = owner_of(name)
if epoch and last > session then
  return 0
end
call('HDEL', 'beat', name) -- the first write frees memory: who can't register can't make room either
if not epoch then
  -- The time, so that an epoch never comes twice, not even in a Redis that has lost its data.
  epoch = math.max((tonumber(call('GET', 'epochs')) or 0) + 1, math.floor(now() * 1000))
  call('SET', 'epochs', string.format('%.0f', epoch))
end
call('HSET', 'owner', name, epoch .. ' ' .. session)
call('HSET', 'beat', name, string.format('%.0f', now() * 1000000))

local is_known = {}
for _, n in ipairs(known) do
  is_known[n] = true
end
local hand = call('HGETALL', 'hand:' .. epoch)
for i = 1, #hand, 2 do
  local n, place = tonumber(hand[i]), hand[i + 1]
  if not is_known[n] then
    call('HDEL', 'hand:' .. epoch, n)
    let_go(n, place)
    put_back(n, place)
  end
end
write_counts()
news = true -- always, so that a user without the right to publish fails here, and not half way through another script
wake(name)
return epoch
