-- Are We Fast Yet: Towers. Thirteen disks of Hanoi.
-- The same program as towers.ts; its argument is how often it runs.
local Disk = {}
Disk.__index = Disk

function Disk.new(size)
    return setmetatable({ size = size, next = nil }, Disk)
end

local Towers = {}
Towers.__index = Towers

function Towers.new()
    return setmetatable({ piles = {}, moved = 0 }, Towers)
end

function Towers:run()
    self.piles = { false, false, false }
    self:build(0, 13)
    self.moved = 0
    self:move(13, 0, 1)
    return self.moved
end

function Towers:push(disk, pile)
    local top = self.piles[pile + 1]
    if top and disk.size >= top.size then error("a big disk on a small one") end
    disk.next = top
    self.piles[pile + 1] = disk
end

function Towers:pop(pile)
    local top = self.piles[pile + 1]
    if not top then error("nothing to take") end
    self.piles[pile + 1] = top.next
    top.next = nil
    return top
end

function Towers:move_top(from, to)
    self:push(self:pop(from), to)
    self.moved = self.moved + 1
end

function Towers:build(pile, disks)
    for size = disks, 0, -1 do self:push(Disk.new(size), pile) end
end

function Towers:move(disks, from, to)
    if disks == 1 then
        self:move_top(from, to)
        return
    end
    local other = 3 - from - to
    self:move(disks - 1, from, other)
    self:move_top(from, to)
    self:move(disks - 1, other, to)
end

for _ = 1, tonumber(arg[1] or 1) do
    local towers = Towers.new()
    local result = 0
    for _ = 1, 20 do result = towers:run() end
    print("Towers " .. result .. " " .. tostring(result == 8191))
end
