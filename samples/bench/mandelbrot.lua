-- Points of an n by n grid that stay in the Mandelbrot set for 50 rounds. The same program as mandelbrot.rasm.
local function mandelbrot(n)
    local inside = 0
    local step = 2.0 / n
    local y = 0
    while y < n do
        local ci = y * step - 1.0
        local x = 0
        while x < n do
            local cr = x * step - 1.5
            local zr, zi = 0.0, 0.0
            local round = 0
            while true do
                local zr2 = zr * zr
                local zi2 = zi * zi
                if zr2 + zi2 > 4.0 then break end
                zi = zr * zi
                zi = zi + zi + ci
                zr = zr2 - zi2 + cr
                round = round + 1
                if round >= 50 then
                    inside = inside + 1
                    break
                end
            end
            x = x + 1
        end
        y = y + 1
    end
    return inside
end

local n = tonumber(arg[1]) or 600
io.write(string.format("%d\n", mandelbrot(n)))
