-- Builds strings: short ones from parts, a long one piece by piece, and words joined. The same program as strings.ts.
local function main()
    local bytes = 0
    for i = 0, 299999 do
        local name = "item " .. i .. ": " .. i * 3
        bytes = bytes + #name
    end
    local words = {}
    for i = 0, 99999 do words[i + 1] = "w" .. (i & 1023) end
    local joined = table.concat(words, " ")
    bytes = bytes + #joined
    local found = 0
    for i = 1, 100000 do
        if words[i] == "w77" then found = found + 1 end
    end
    print("strings " .. bytes .. " " .. found .. " " .. tostring(found == 98))
end

for _ = 1, tonumber(arg[1] or 1) do main() end
