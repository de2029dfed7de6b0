-- Reads a text of JSON of 366 KB and writes it again, ten times. The same program as json.ts.
local byte, find, sub, match = string.byte, string.find, string.sub, string.match
local NULL = setmetatable({}, { __tostring = function() return "null" end })
local UNESCAPED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local ESCAPED = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local read

local function fail(what, at)
    error("expected " .. what .. " at byte " .. at)
end

local function space(text, at)
    return find(text, "[^ \n\r\t]", at) or #text + 1
end

local function escape(text, at)
    local letter = sub(text, at, at)
    if letter ~= "u" then return UNESCAPED[letter] or fail("an escape", at), at + 1 end
    local digits = match(text, "^%x%x%x%x", at + 1) or fail("four digits", at)
    local code, next = tonumber(digits, 16), at + 5
    if code >= 0xd800 and code < 0xdc00 then
        local low = match(text, "^\\u(%x%x%x%x)", next) or fail("the other half", next)
        code = 0x10000 + (code - 0xd800) * 1024 + tonumber(low, 16) - 0xdc00
        next = next + 6
    end
    return utf8.char(code), next
end

local function read_text(text, at)
    local start = at + 1
    local stop = find(text, '["\\%c]', start)
    if stop and byte(text, stop) == 34 then return sub(text, start, stop - 1), stop + 1 end
    local parts = {}
    while stop do
        parts[#parts + 1] = sub(text, start, stop - 1)
        local found = byte(text, stop)
        if found == 34 then return table.concat(parts), stop + 1 end
        if found ~= 92 then break end
        parts[#parts + 1], start = escape(text, stop + 1)
        stop = find(text, '["\\%c]', start)
    end
    fail('"', stop or #text)
end

local function read_list(text, at, depth)
    local list = {}
    at = space(text, at + 1)
    if byte(text, at) == 93 then return list, at + 1 end
    while true do
        list[#list + 1], at = read(text, at, depth + 1)
        at = space(text, at)
        local found = byte(text, at)
        if found == 93 then return list, at + 1 end
        if found ~= 44 then fail("',' or ']'", at) end
        at = at + 1
    end
end

local function read_map(text, at, depth)
    local map = {}
    at = space(text, at + 1)
    if byte(text, at) == 125 then return map, at + 1 end
    while true do
        at = space(text, at)
        if byte(text, at) ~= 34 then fail("a name", at) end
        local name
        name, at = read_text(text, at)
        at = space(text, at)
        if byte(text, at) ~= 58 then fail("':'", at) end
        map[name], at = read(text, at + 1, depth + 1)
        at = space(text, at)
        local found = byte(text, at)
        if found == 125 then return map, at + 1 end
        if found ~= 44 then fail("',' or '}'", at) end
        at = at + 1
    end
end

local function word(text, at, wanted, value)
    if sub(text, at, at + #wanted - 1) ~= wanted then fail(wanted, at) end
    return value, at + #wanted
end

function read(text, at, depth)
    if depth > 180 then error("too deep") end
    at = space(text, at)
    local found = byte(text, at)
    if found == 34 then return read_text(text, at) end
    if found == 123 then return read_map(text, at, depth) end
    if found == 91 then return read_list(text, at, depth) end
    if found == 116 then return word(text, at, "true", true) end
    if found == 102 then return word(text, at, "false", false) end
    if found == 110 then return word(text, at, "null", NULL) end
    local digits = match(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at) or fail("a value", at)
    return tonumber(digits) or fail("a number", at), at + #digits
end

local function quoted(text)
    return '"' .. text:gsub('[%c"\\]', function(found)
        return ESCAPED[found] or string.format("\\u%04x", byte(found))
    end) .. '"'
end

local function write(value, parts)
    local kind = type(value)
    if kind == "string" then
        parts[#parts + 1] = quoted(value)
    elseif kind ~= "table" or value == NULL then
        parts[#parts + 1] = tostring(value)
    elseif #value > 0 or next(value) == nil then
        parts[#parts + 1] = "["
        for i = 1, #value do
            if i > 1 then parts[#parts + 1] = "," end
            write(value[i], parts)
        end
        parts[#parts + 1] = "]"
    else
        local separator = "{"
        for name, inner in pairs(value) do
            parts[#parts + 1] = separator
            parts[#parts + 1] = quoted(name)
            parts[#parts + 1] = ":"
            write(inner, parts)
            separator = ","
        end
        parts[#parts + 1] = "}"
    end
end

local function order(number)
    local lines = {}
    for i = 0, 4 do
        lines[#lines + 1] = '{"article":"part \\"' .. number * 7 + i .. '\\" of steel","count":' .. i + 1 .. ',"price":'
            .. number % 90 .. '.25,"tags":["new","caf\\u00e9"]}'
    end
    return '{"id":' .. number .. ',"customer":"Customer number ' .. number % 77 .. '","paid":' .. tostring(number % 3 == 0)
        .. ',"note":null,"lines":[' .. table.concat(lines, ", ") .. "]}"
end

local function main()
    local orders = {}
    for i = 0, 699 do orders[#orders + 1] = order(i) end
    local text = "[" .. table.concat(orders, ",\n  ") .. "]"
    local count, bytes, sum = 0, 0, 0.0
    for _ = 1, 10 do
        local list = read(text, 1, 0)
        for _, one in ipairs(list) do
            for _, line in ipairs(one.lines) do
                sum = sum + line.price
                count = count + 1
            end
        end
        local parts = {}
        write(list, parts)
        bytes = bytes + #table.concat(parts)
    end
    print("json " .. #text .. " " .. bytes .. " " .. sum .. " " .. tostring(count == 35000))
end

for _ = 1, tonumber(arg[1] or 1) do main() end
