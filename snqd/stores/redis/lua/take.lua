-- Take items off the head of another program's list, and make jobs of them. ARGV: list, items (JSON), records.
-- An item is [its SHA-1, head of its job], or [its SHA-1] if it is none. Whoever else has taken one meanwhile ends it: an item
-- is taken only while it is the first. Returns how many were.
local list, items, records = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local heads = {}
for _, item in ipairs(items) do
  heads[#heads + 1] = item[2]
end
cut(heads, records)
local taken, jobs = 0, {}
for _, item in ipairs(items) do
  local first = redis.call('LINDEX', list, 0)
  if not first or redis.sha1hex(first) ~= item[1] then
    break
  end
  taken = taken + 1
  jobs[#jobs + 1] = item[2]
  redis.call('LPOP', list)
end
add(jobs)
write_counts()
wake('')
return taken
