-- Remember that the append-only file was rewritten since Redis's start. ARGV: the start's run_id.
call('DEL', 'renewed') -- the first write frees memory
call('SET', 'renewed', ARGV[1])
return 0
