-- Builds and checks many short-lived trees while a long-lived one stays. The same program as binary_trees.rasm.
local function build(depth)
    if depth == 0 then return { nil, nil } end
    return { build(depth - 1), build(depth - 1) }
end

local function check(tree)
    local left = tree[1]
    if left == nil then return 1 end
    return 1 + check(left) + check(tree[2])
end

local n = tonumber(arg[1]) or 14
local stay = build(n)
local sum = 0
local depth = 4
while depth <= n do
    local rounds = 1 << (n - depth + 4)
    while rounds > 0 do
        sum = sum + check(build(depth))
        rounds = rounds - 1
    end
    depth = depth + 2
end
sum = sum + check(stay)
io.write(string.format("%d\n", sum))
