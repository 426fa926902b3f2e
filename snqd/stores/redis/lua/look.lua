-- Look into lists of other programs. ARGV: names (JSON), items of each at most, bytes of all at most.
-- Returns, by turns, a position in the names, from 0, and an item.
local names, most, bytes = cjson.decode(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local found = {}
for i, name in ipairs(names) do
  if redis.call('EXISTS', name) == 1 then
    for _, item in ipairs(redis.call('LRANGE', name, 0, most - 1)) do
      found[#found + 1] = i - 1
      found[#found + 1] = item
      bytes = bytes - #item
      if bytes <= 0 then
        return found
      end
    end
  end
end
return found
