-- Recursive Fibonacci numbers: calls and little else. The same program as fib.rasm.
local function fib(n)
    if n < 2 then return n end
    return fib(n - 1) + fib(n - 2)
end

local n = tonumber(arg[1]) or 32
io.write(string.format("%d\n", fib(n)))
