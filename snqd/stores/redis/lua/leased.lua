-- What is kept of the farm lease ARGV[1]: "BEAT HOLDER", or nothing.
return call('HGET', 'lease', ARGV[1]) or ''
