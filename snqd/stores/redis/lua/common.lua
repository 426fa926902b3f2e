-- What all scripts share; it stands before each of them. KEYS[1] is the prefix of every name, with the hash tag.
--
-- A place is "queue site". A job has a number n, and is in exactly one of these:
--   ready:PLACE   list     jobs that were never handed out, by n
--   back:PLACE    zset     jobs that came back (given back, due, recovered), by n
--   hand:EPOCH    hash     n -> place: in the hands of the process of that epoch
--   due           zset     "n place" by Unix time: delayed
--   solo          zset     "n place" by n: suspects that wait to run alone
-- Beside these:
--   job           hash     n -> record
--   more          hash     n -> [attempt,solo,"reason"] of a job that isn't at its plain first attempt
--   sites:QUEUE   zset     the ring: sites with something in ready or back, by name
--   queues        set      queues that ever had a ring
--   busy, delayed, waits   place -> number of jobs in hand; of those in due; of those that hold later ones back where
--                          order is promised (suspects, and what waits for its retry)
--   alone         hash     n -> queue: suspects in hand
--   owner         hash     name -> "epoch session"
--   beat          hash     name -> Redis's time of its last sign of life
--   last:NAME     string   number and answer of that program's last numbered call
--   paused        set      places, either part of which may be empty
--   lease         hash     name -> "beat holder" of what runs once in the farm
--   renewed       string   run_id of the Redis process whose append-only file was rewritten since its start
--
-- Nothing may fail half way through a script, since what it has written stays. Redis refuses a script's first write where it is
-- out of memory, can't write to its disk or has too few replicas, and no later one. Where memory is short it refuses only
-- commands that may need some: a script that must go on then begins its writing with one that frees some.

local prefix = KEYS[1]
local AT_ONCE = 1000 -- arguments to one command: Lua's stack is bounded
local KEEP_ANSWERS = 86400 -- seconds

local function call(command, name, ...)
  return redis.call(command, prefix .. name, ...)
end

local function call_all(command, name, list)
  for first = 1, #list, AT_ONCE do
    call(command, name, unpack(list, first, math.min(first + AT_ONCE - 1, #list)))
  end
end

local function now()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end

local function parts_of(place)
  return string.match(place, '^(%S*) (%S*)$')
end

local function member_parts(member)
  local n, place = string.match(member, '^(%d+) (.+)$')
  return tonumber(n), place
end

-- Counting: differences are gathered, and written once.

local differences = { busy = {}, delayed = {}, waits = {} }

local function count(what, place, by)
  differences[what][place] = (differences[what][place] or 0) + by
end

local function write_counts()
  for what, places in pairs(differences) do
    differences[what] = {}
    for place, by in pairs(places) do
      if by ~= 0 and call('HINCRBY', what, place, by) <= 0 then
        call('HDEL', what, place)
      end
    end
  end
end

-- Waking: only where a share goes from empty to not empty, since whoever found it empty sleeps, and nobody else.

local news = false

local function open_share(place)
  local queue, site = parts_of(place)
  if call('ZADD', 'sites:' .. queue, 0, site) == 1 then
    call('SADD', 'queues', queue)
    news = true
  end
end

local function wake(sender)
  if news then
    redis.call('PUBLISH', prefix .. 'wake', sender)
  end
end

-- What is special about a job, if anything.

local any_more

local function more_of(n)
  if any_more == nil then
    any_more = call('EXISTS', 'more') == 1
  end
  local text = any_more and call('HGET', 'more', n)
  if not text then
    return 1, false, '""'
  end
  local attempt, solo, reason = string.match(text, '^%[(%d+),(%d),(.*)%]$')
  return tonumber(attempt), solo == '1', reason
end

local function set_more(n, attempt, solo, reason)
  call('HSET', 'more', n, '[' .. attempt .. ',' .. solo .. ',' .. reason .. ']')
  any_more = true
end

-- Putting jobs where they wait.

local function put_solo(n, place)
  call('ZADD', 'solo', n, n .. ' ' .. place)
  count('waits', place, 1)
  news = true
end

local function put_due(n, place, due, attempt)
  call('ZADD', 'due', string.format('%.6f', due), n .. ' ' .. place)
  count('delayed', place, 1)
  if attempt > 1 then
    count('waits', place, 1)
  end
end

local function put_back(n, place)
  local _, solo = more_of(n)
  if solo then
    put_solo(n, place)
  else
    call('ZADD', 'back:' .. place, n, n)
    open_share(place)
  end
end

local function promote(time)
  for _, member in ipairs(call('ZRANGEBYSCORE', 'due', '-inf', time, 'LIMIT', 0, AT_ONCE)) do
    local n, place = member_parts(member)
    call('ZREM', 'due', member)
    count('delayed', place, -1)
    if more_of(n) > 1 then
      count('waits', place, -1)
    end
    put_back(n, place)
  end
end

-- New jobs. A head is [place, length of the record, due, more], the last two only where they say something.

local function cut(heads, records)
  local at = 1
  for _, head in ipairs(heads) do
    head.record = string.sub(records, at, at + head[2] - 1)
    at = at + head[2]
  end
  return heads
end

local function add(heads)
  if #heads == 0 then
    return
  end
  -- The first write of new jobs: where memory is short Redis refuses them.
  local n = call('INCRBY', 'number', #heads) - #heads
  local records, ready = {}, {}
  for _, head in ipairs(heads) do
    local place, due, more = head[1], head[3] or 0, head[4]
    n = n + 1
    records[#records + 1] = n
    records[#records + 1] = head.record
    if more then
      call('HSET', 'more', n, more)
      any_more = true
    end
    local attempt, solo = 1, false
    if more then
      attempt, solo = more_of(n)
    end
    if due > 0 then
      put_due(n, place, due, attempt)
    elseif solo then
      put_solo(n, place)
    else
      ready[place] = ready[place] or {}
      table.insert(ready[place], n)
    end
  end
  call_all('HSET', 'job', records)
  for place, numbers in pairs(ready) do
    call_all('RPUSH', 'ready:' .. place, numbers)
    open_share(place)
  end
end

-- Owners.

local function owner_of(name)
  local text = call('HGET', 'owner', name)
  if not text then
    return nil
  end
  local epoch, session = string.match(text, '^(%d+) (%d+)$')
  return tonumber(epoch), tonumber(session)
end

-- A job leaves the hands of its process, wherever it goes; the caller has removed it from hand:EPOCH.

local any_alone

local function let_go(n, place)
  count('busy', place, -1)
  if any_alone == nil then
    any_alone = call('EXISTS', 'alone') == 1
  end
  if any_alone and call('HDEL', 'alone', n) == 1 then
    news = true -- the next suspect may run
  end
end

-- Numbered calls: one that is repeated, since its answer was lost, changes nothing and gets the same answer.

local function answered(name, number)
  local last = call('GET', 'last:' .. name)
  if not last then
    return nil
  end
  local done, answer = string.match(last, '^(%d+) (.*)$')
  return tonumber(done) >= tonumber(number) and answer or nil
end

local function answer(name, number, text)
  call('SET', 'last:' .. name, number .. ' ' .. text, 'EX', KEEP_ANSWERS)
  return text
end
