-- Are We Fast Yet: Storage. Trees of arrays, to keep whoever collects garbage busy.
-- The same program as storage.ts; its argument is how often it runs.
local Random = {}
Random.__index = Random

function Random.new()
    return setmetatable({ seed = 74755 }, Random)
end

function Random:next()
    self.seed = (self.seed * 1309 + 13849) & 65535
    return self.seed
end

local Tree = {}
Tree.__index = Tree

function Tree.new(size)
    local children = {}
    for i = 1, size do children[i] = false end
    return setmetatable({ children = children }, Tree)
end

local Storage = {}
Storage.__index = Storage

function Storage.new()
    return setmetatable({ count = 0 }, Storage)
end

function Storage:run()
    local random = Random.new()
    self.count = 0
    self:build(7, random)
    return self.count
end

function Storage:build(depth, random)
    self.count = self.count + 1
    if depth == 1 then return Tree.new((random:next() % 10) + 1) end
    local tree = Tree.new(4)
    for i = 1, 4 do tree.children[i] = self:build(depth - 1, random) end
    return tree
end

for _ = 1, tonumber(arg[1] or 1) do
    local storage = Storage.new()
    local result = 0
    for _ = 1, 20 do result = storage:run() end
    print("Storage " .. result .. " " .. tostring(result == 5461))
end
