-- POST with content. Its size in bytes is the first argument, 1024 without one.
--   wrk -t1 -c64 -d10 -s perf/wrk/post.lua http://127.0.0.1:8081/128 -- 1024
function init(args)
  local size = tonumber(args[1]) or 1024
  message = wrk.format("POST", nil, { ["Content-Type"] = "application/octet-stream" }, string.rep("x", size))
end

function request()
  return message
end
