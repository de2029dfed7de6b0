-- Are We Fast Yet: List. Takeuchi's function on the lengths of linked lists.
-- The same program as list.ts; its argument is how often it runs.
local Element = {}
Element.__index = Element

function Element.new(value)
    return setmetatable({ value = value, next = nil }, Element)
end

function Element:length()
    if self.next == nil then return 1 end
    return 1 + self.next:length()
end

local function make_list(length)
    if length == 0 then return nil end
    local element = Element.new(length)
    element.next = make_list(length - 1)
    return element
end

local function is_shorter_than(x, y)
    local left, right = x, y
    while right ~= nil do
        if left == nil then return true end
        left = left.next
        right = right.next
    end
    return false
end

local function next_of(element)
    if element == nil then return nil end
    return element.next
end

local function tail(x, y, z)
    if not is_shorter_than(y, x) then return z end
    return tail(tail(next_of(x), y, z), tail(next_of(y), z, x), tail(next_of(z), x, y))
end

for _ = 1, tonumber(arg[1] or 1) do
    local result = 0
    for _ = 1, 20 do
        result = tail(make_list(15), make_list(10), make_list(6)):length()
    end
    print("List " .. result .. " " .. tostring(result == 10))
end
