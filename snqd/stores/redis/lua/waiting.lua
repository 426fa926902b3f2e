-- What is ready in one queue, a page of its ring. ARGV: queue, the last site of the page before, sites of a page.
-- Returns JSON: [[site, number, created of its first job]...].
local queue, after, page = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sites = call('ZRANGEBYLEX', 'sites:' .. queue, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, page)
local rows = {}
for _, site in ipairs(sites) do
  local place = queue .. ' ' .. site
  local fresh, back = call('LINDEX', 'ready:' .. place, 0), call('ZRANGE', 'back:' .. place, 0, 0)[1]
  local first = fresh and back and math.min(tonumber(fresh), tonumber(back)) or fresh or back
  local created = string.match(call('HGET', 'job', first) or '', '^%S+ %S+ (%S+)\n')
  local number = call('LLEN', 'ready:' .. place) + call('ZCARD', 'back:' .. place)
  rows[#rows + 1] = '["' .. site .. '",' .. number .. ',' .. (created or 'null') .. ']'
end
return '[' .. table.concat(rows, ',') .. ']'
