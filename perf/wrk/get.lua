-- GET with the fields a browser sends.
--   wrk -t1 -c64 -d10 -s perf/wrk/get.lua http://127.0.0.1:8081/128
wrk.method = "GET"
wrk.headers["User-Agent"] = "wrk"
wrk.headers["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"
wrk.headers["Accept-Encoding"] = "gzip, br"
wrk.headers["Accept-Language"] = "en"
