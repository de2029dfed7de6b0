-- A map of a million integers: filled, read in another order, thinned out and read again. The same program as map.ts.
local function main()
    local squares, size = {}, 0
    for i = 0, 999999 do
        squares[i * 7] = i
        size = size + 1
    end
    local sum, at = 0, 1
    for _ = 0, 999999 do
        at = (at * 1309 + 13849) & 1048575
        sum = sum + squares[(at % 1000000) * 7]
    end
    for i = 0, 999999, 2 do
        if squares[i * 7] ~= nil then
            squares[i * 7] = nil
            size = size - 1
        end
    end
    for i = 0, 999999 do
        sum = sum + (squares[i * 7] ~= nil and 1 or 0)
    end
    print("map " .. sum .. " " .. tostring(size == 500000))
end

for _ = 1, tonumber(arg[1] or 1) do main() end
