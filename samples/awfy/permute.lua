-- Are We Fast Yet: Permute. All permutations of six elements, by exchanging them in place.
-- The same program as permute.ts; its argument is how often it runs.
local Permute = {}
Permute.__index = Permute

function Permute.new()
    return setmetatable({ count = 0, elements = {} }, Permute)
end

function Permute:run()
    self.count = 0
    self.elements = {}
    for i = 1, 6 do self.elements[i] = 0 end
    self:permute(6)
    return self.count
end

function Permute:permute(n)
    self.count = self.count + 1
    if n == 0 then return end
    local last = n - 1
    self:permute(last)
    for i = last, 0, -1 do
        self:swap(last, i)
        self:permute(last)
        self:swap(last, i)
    end
end

function Permute:swap(i, j)
    local kept = self.elements[i + 1]
    self.elements[i + 1] = self.elements[j + 1]
    self.elements[j + 1] = kept
end

for _ = 1, tonumber(arg[1] or 1) do
    local permute = Permute.new()
    local result = 0
    for _ = 1, 20 do result = permute:run() end
    print("Permute " .. result .. " " .. tostring(result == 8660))
end
