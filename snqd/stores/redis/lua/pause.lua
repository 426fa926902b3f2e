-- Stop, or go on, handing out jobs. ARGV: sender, place, 1 or 0.
local sender, place, pause = unpack(ARGV)
call('SREM', 'paused', place) -- the first write frees memory
if pause == '1' then
  call('SADD', 'paused', place)
end
news = true
wake(sender)
return 0
