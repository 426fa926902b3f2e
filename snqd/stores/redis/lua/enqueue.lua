-- Accept new jobs, all or none. ARGV: sender, program's name, number of the call, heads, records.
local sender, name, number, heads, records = unpack(ARGV)
if not answered(name, number) then
  add(cut(cjson.decode(heads), records))
  answer(name, number, '')
  write_counts()
  wake(sender)
end
return 0
