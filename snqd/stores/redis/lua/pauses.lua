-- What is paused: places, each in a line.
return table.concat(call('SMEMBERS', 'paused'), '\n')
