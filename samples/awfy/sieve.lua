-- Are We Fast Yet: Sieve. The primes up to 5,000.
-- The same program as sieve.ts; its argument is how often it runs.
local function sieve(flags, size)
    local primes = 0
    for i = 2, size do
        if flags[i - 1] then
            primes = primes + 1
            for k = i + i, size, i do flags[k - 1] = false end
        end
    end
    return primes
end

for _ = 1, tonumber(arg[1] or 1) do
    local result = 0
    for _ = 1, 20 do
        local flags = {}
        for i = 1, 5000 do flags[i] = true end
        result = sieve(flags, 5000)
    end
    print("Sieve " .. result .. " " .. tostring(result == 669))
end
