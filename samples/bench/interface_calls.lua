-- Many calls of one method on objects of three classes. The same program as interface_calls.rasm.
local Square, Rectangle, Triangle = {}, {}, {}
Square.__index, Rectangle.__index, Triangle.__index = Square, Rectangle, Triangle

function Square:area(scale) return self.side * self.side * scale end
function Rectangle:area(scale) return self.width * self.height * scale end
function Triangle:area(scale) return (self.base * self.height >> 1) * scale end

local n = tonumber(arg[1]) or 3000000
local shapes = {
    [0] = setmetatable({ side = 3 }, Square),
    setmetatable({ width = 4, height = 5 }, Rectangle),
    setmetatable({ base = 6, height = 7 }, Triangle),
    setmetatable({ side = 8 }, Square),
}
local sum = 0
local i = 0
while i < n do
    sum = sum + shapes[i & 3]:area(i)
    i = i + 1
end
io.write(string.format("%d\n", sum))
