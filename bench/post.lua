-- wrk -s post.lua URL -- BODY HEADERS: posts the file BODY again and again,
-- with the lines of the file HEADERS as headers.

function init(args)
    local file = assert(io.open(args[1], "rb"))

    wrk.method = "POST"
    wrk.body = file:read("*a")
    file:close()
    for line in io.lines(args[2]) do
        local name, value = line:match("^(.-): (.*)$")

        wrk.headers[name] = value
    end
end
