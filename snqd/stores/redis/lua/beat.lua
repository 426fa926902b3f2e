-- Show that a process lives. ARGV: name, epoch. Returns whether it is known, and the others' names and beats, as JSON.
local name, epoch = ARGV[1], tonumber(ARGV[2])
local known = owner_of(name) == epoch
if known then
  call('HDEL', 'beat', name)
  call('HSET', 'beat', name, string.format('%.0f', now() * 1000000))
end
local beats, texts = call('HGETALL', 'beat'), {}
for i = 1, #beats, 2 do
  if beats[i] ~= name then
    texts[#texts + 1] = '[' .. cjson.encode(beats[i]) .. ',' .. beats[i + 1] .. ']'
  end
end
return '[' .. tostring(known) .. ',[' .. table.concat(texts, ',') .. ']]'
