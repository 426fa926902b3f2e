-- What both kinds of claims share; it stands behind common.lua. ARGV[1]: {name, epoch, session, ...}.
local MAX_BYTES = 32 * 1024 * 1024 -- a claim takes nothing more once its records have so many
local SLICE = 20

local request = cjson.decode(ARGV[1])
local bytes = 0
local cut = false -- whether there may be more than fits
local shares, blobs = {}, {}
local pauses = {}

for _, place in ipairs(call('SMEMBERS', 'paused')) do
  pauses[place] = true
end

local function paused(place)
  local queue, site = parts_of(place)
  return pauses[place] or pauses[queue .. ' '] or pauses[' ' .. site] or false
end

-- Whether the process is still known, and this call comes by its present connection.
local function registered()
  local epoch, session = owner_of(request.name)
  return epoch == request.epoch and session == request.session
end

-- Put jobs into the process's hands, and write them into the reply.
local function hand_over(place, numbers)
  local records = call('HMGET', 'job', unpack(numbers))
  local in_hand, entries = {}, {}
  for i, n in ipairs(numbers) do
    local record = records[i]
    if record then
      local attempt, solo, reason = more_of(n)
      local more = ''
      if attempt > 1 or solo or reason ~= '""' then
        more = ',' .. attempt .. ',' .. (solo and 1 or 0) .. ',' .. reason
      end
      in_hand[#in_hand + 1] = n
      in_hand[#in_hand + 1] = place
      entries[#entries + 1] = '[' .. n .. ',' .. #record .. more .. ']'
      blobs[#blobs + 1] = record
      bytes = bytes + #record
    end
  end
  if #entries > 0 then
    call('HSET', 'hand:' .. request.epoch, unpack(in_hand))
    count('busy', place, #entries)
    shares[#shares + 1] = '["' .. place .. '",[' .. table.concat(entries, ',') .. ']]'
  end
end

-- Queues in which suspects may run alone now.
local function suspects()
  local found, names = {}, {}
  if call('ZCARD', 'solo') > 0 then
    local in_hand = {}
    for _, queue in ipairs(call('HVALS', 'alone')) do
      in_hand[queue] = true
    end
    for _, member in ipairs(call('ZRANGE', 'solo', 0, -1)) do
      local _, place = member_parts(member)
      local queue = parts_of(place)
      if not found[queue] and not in_hand[queue] and not paused(place) then
        found[queue] = true
        names[#names + 1] = '"' .. queue .. '"'
      end
    end
  end
  return '[' .. table.concat(names, ',') .. ']'
end

local function next_due(time)
  local first = call('ZRANGE', 'due', 0, 0, 'WITHSCORES')
  return first[2] and string.format('%.6f', math.max(first[2] - time, 0)) or 'null'
end

-- A line of JSON, and the records, in one string: the reader takes each string of a reply apart in Python.
local function reply(time, cursors)
  local text = '{"cut":' .. tostring(cut) .. ',"due":' .. next_due(time) .. ',"suspects":' .. suspects()
    .. ',"cursors":{' .. table.concat(cursors, ',') .. '},"shares":[' .. table.concat(shares, ',') .. ']}\n'
  write_counts()
  wake(request.name)
  return text .. table.concat(blobs)
end
