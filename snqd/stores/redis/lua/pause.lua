-- Stop, or go on, handing out jobs. ARGV: sender, place, 1 or 0.
local sender, place, pause = unpack(ARGV)
call(pause == '1' and 'SADD' or 'SREM', 'paused', place)
news = true
wake(sender)
return 0
