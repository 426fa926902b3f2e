-- What waits beside the shares. Returns JSON: {queues, busy, delayed, solo: [[place, created]...], now}.
local function pairs_of(name)
  local flat, texts = call('HGETALL', name), {}
  for i = 1, #flat, 2 do
    texts[#texts + 1] = '"' .. flat[i] .. '":' .. flat[i + 1]
  end
  return '{' .. table.concat(texts, ',') .. '}'
end

local queues, solo = {}, {}
for _, queue in ipairs(call('SMEMBERS', 'queues')) do
  queues[#queues + 1] = '"' .. queue .. '"'
end
for _, member in ipairs(call('ZRANGE', 'solo', 0, -1)) do
  local n, place = member_parts(member)
  local created = string.match(call('HGET', 'job', n) or '', '^%S+ %S+ (%S+)\n')
  solo[#solo + 1] = '["' .. place .. '",' .. (created or 'null') .. ']'
end
return '{"queues":[' .. table.concat(queues, ',') .. '],"busy":' .. pairs_of('busy') .. ',"delayed":'
  .. pairs_of('delayed') .. ',"solo":[' .. table.concat(solo, ',') .. '],"now":' .. string.format('%.6f', now()) .. '}'
