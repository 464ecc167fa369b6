-- Several GETs in one write. The depth is the first argument, 8 without one.
--   wrk -t1 -c64 -d10 -s perf/wrk/pipeline.lua http://127.0.0.1:8081/128 -- 8
function init(args)
  local depth = tonumber(args[1]) or 8
  local one = wrk.format("GET")
  batch = string.rep(one, depth)
end

function request()
  return batch
end
