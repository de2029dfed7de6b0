-- Are We Fast Yet: Queens. Eight queens, placed ten times over by trying.
-- The same program as queens.ts; its argument is how often it runs.
local function filled(length, value)
    local array = {}
    for i = 1, length do array[i] = value end
    return array
end

local Queens = {}
Queens.__index = Queens

function Queens.new()
    return setmetatable({ free_rows = {}, free_maximums = {}, free_minimums = {}, queen_rows = {} }, Queens)
end

function Queens:run()
    local result = true
    for _ = 1, 10 do result = result and self:queens() end
    return result
end

function Queens:queens()
    self.free_rows = filled(8, true)
    self.free_maximums = filled(16, true)
    self.free_minimums = filled(16, true)
    self.queen_rows = filled(8, -1)
    return self:place(0)
end

function Queens:place(column)
    for row = 0, 7 do
        if self:is_free(row, column) then
            self.queen_rows[row + 1] = column
            self:set(row, column, false)
            if column == 7 then return true end
            if self:place(column + 1) then return true end
            self:set(row, column, true)
        end
    end
    return false
end

function Queens:is_free(row, column)
    return self.free_rows[row + 1] and self.free_maximums[column + row + 1] and self.free_minimums[column - row + 8]
end

function Queens:set(row, column, free)
    self.free_rows[row + 1] = free
    self.free_maximums[column + row + 1] = free
    self.free_minimums[column - row + 8] = free
end

for _ = 1, tonumber(arg[1] or 1) do
    local queens = Queens.new()
    local result = true
    for _ = 1, 20 do result = queens:run() and result end
    print("Queens " .. tostring(result) .. " " .. tostring(result))
end
