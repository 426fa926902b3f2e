-- A farm lease. ARGV: name, what is kept ("BEAT HOLDER", or nothing), what is to be kept instead of it.
-- Returns 1 where that was kept, else 0.
local name, found, new = unpack(ARGV)
if (call('HGET', 'lease', name) or '') ~= found then
  return 0
end
call('HDEL', 'lease', name) -- the first write frees memory: a lease is renewed in a Redis that is full, too
call('HSET', 'lease', name, new)
return 1
