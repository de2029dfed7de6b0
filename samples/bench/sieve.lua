-- Primes below n, counted several times over one table of flags. The same program as sieve.rasm.
local function sieve(flags, n)
    for i = 0, n - 1 do flags[i] = 1 end
    local count = 0
    local i = 2
    while i < n do
        if flags[i] ~= 0 then
            count = count + 1
            local k = i + i
            while k < n do
                flags[k] = 0
                k = k + i
            end
        end
        i = i + 1
    end
    return count
end

local n = tonumber(arg[1]) or 1000000
local rounds = tonumber(arg[2]) or 5
local flags = {}
local count = 0
for _ = 1, rounds do count = sieve(flags, n) end
io.write(string.format("%d\n", count))
