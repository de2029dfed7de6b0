-- Are We Fast Yet: Mandelbrot. A picture of the set, folded into a byte.
-- The same program as mandelbrot.ts; its argument is how often it runs.
-- 1 if the point leaves the circle within fifty steps.
local function escapes(cr, ci)
    local zi, zrr, zii = 0.0, 0.0, 0.0
    for _ = 1, 50 do
        local zr = zrr - zii + cr
        zi = 2 * zr * zi + ci
        zrr = zr * zr
        zii = zi * zi
        if zrr + zii > 4 then return 1 end
    end
    return 0
end

local function mandelbrot(size)
    local width = size * 1.0
    local sum, byte, bits = 0, 0, 0
    for y = 0, size - 1 do
        local ci = (2.0 * y) / width - 1
        for x = 0, size - 1 do
            local cr = (2.0 * x) / width - 1.5
            byte = (byte << 1) | escapes(cr, ci)
            bits = bits + 1
            if bits == 8 then
                sum = sum ~ byte
                byte = 0
                bits = 0
            elseif x == size - 1 then
                sum = sum ~ (byte << (8 - bits))
                byte = 0
                bits = 0
            end
        end
    end
    return sum
end

for _ = 1, tonumber(arg[1] or 1) do
    local small = mandelbrot(1)
    local result = mandelbrot(500)
    print("Mandelbrot " .. result .. " " .. tostring(small == 128 and result == 191))
end
