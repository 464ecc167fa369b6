-- A mix in a fixed order: of ten requests eight small GETs, one of 16 kB, one POST of 4 kB. No HEAD: wrk would wait for
-- its content.
--   wrk -t1 -c64 -d10 -s perf/wrk/mixed.lua http://127.0.0.1:8081
local at = 0

function init(args)
  local small = wrk.format("GET", "/128")
  messages = {
    small, small, small, wrk.format("GET", "/16k"), small, small, wrk.format("GET", "/128?a=b&c=d"), small, small,
    wrk.format("POST", "/128", { ["Content-Type"] = "application/octet-stream" }, string.rep("x", 4096)),
  }
end

function request()
  at = at % #messages + 1
  return messages[at]
end
