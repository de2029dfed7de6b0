-- Are We Fast Yet: Json. As json.ts; run so often as the first argument says.

local QUOTE, MINUS, BACKSLASH, END = 34, 45, 92, -1
local byte, sub, char = string.byte, string.sub, string.char

local function class(above)
    local made = setmetatable({}, above)
    made.__index = made
    return made
end

local Value = class()

function Value:is_object()
    return false
end

function Value:is_array()
    return false
end

function Value:as_object()
    error("no object")
end

function Value:as_array()
    error("no array")
end

local JsonLiteral, JsonNumber, JsonString = class(Value), class(Value), class(Value)

local function text_new(of, text)
    return setmetatable({ text = text }, of)
end

local JsonArray = class(Value)

function JsonArray.new()
    return setmetatable({ values = {} }, JsonArray)
end

function JsonArray:is_array()
    return true
end

function JsonArray:as_array()
    return self
end

function JsonArray:add(value)
    self.values[#self.values + 1] = value
end

function JsonArray:size()
    return #self.values
end

-- Where a name stands perhaps; names beyond the first 255 are looked for.
local HashIndexTable = class()

function HashIndexTable.new()
    local slots = {}
    for i = 0, 31 do slots[i] = 0 end
    return setmetatable({ slots = slots }, HashIndexTable)
end

function HashIndexTable:slot(name)
    return (#name * 1402589) & 31
end

function HashIndexTable:add(name, index)
    self.slots[self:slot(name)] = index <= 255 and index or 0
end

function HashIndexTable:get(name)
    return self.slots[self:slot(name)]
end

local JsonObject = class(Value)

function JsonObject.new()
    return setmetatable({ names = {}, values = {}, table = HashIndexTable.new() }, JsonObject)
end

function JsonObject:is_object()
    return true
end

function JsonObject:as_object()
    return self
end

function JsonObject:add(name, value)
    local index = #self.names + 1
    self.table:add(name, index)
    self.names[index] = name
    self.values[index] = value
end

function JsonObject:get(name)
    local index = self.table:get(name)
    if index > 0 and self.names[index] == name then return self.values[index] end
    for i = 1, #self.names do
        if self.names[i] == name then return self.values[i] end
    end
    return nil
end

local NULL, TRUE, FALSE = text_new(JsonLiteral, "null"), text_new(JsonLiteral, "true"), text_new(JsonLiteral, "false")

local Parser = class()

function Parser.new(input)
    local made = { input = input, length = #input, index = 0, line = 1, column = 0, current = END }
    made.captured, made.capture_start = "", 0
    return setmetatable(made, Parser)
end

function Parser:parse()
    self:read()
    self:skip_white_space()
    local value = self:read_value()
    self:skip_white_space()
    if self.current ~= END then self:error("more than a value") end
    return value
end

function Parser:read_value()
    local current = self.current
    if current == 110 then return self:read_literal(NULL) end
    if current == 116 then return self:read_literal(TRUE) end
    if current == 102 then return self:read_literal(FALSE) end
    if current == QUOTE then return text_new(JsonString, self:read_text()) end
    if current == 91 then return self:read_array() end
    if current == 123 then return self:read_object() end
    if current == MINUS or self:is_digit() then return self:read_number() end
    self:expected("value")
end

function Parser:read_array()
    self:read()
    local array = JsonArray.new()
    self:skip_white_space()
    if self:read_if(93) then return array end
    repeat
        self:skip_white_space()
        array:add(self:read_value())
        self:skip_white_space()
    until not self:read_if(44)
    if not self:read_if(93) then self:expected("',' or ']'") end
    return array
end

function Parser:read_object()
    self:read()
    local object = JsonObject.new()
    self:skip_white_space()
    if self:read_if(125) then return object end
    repeat
        self:skip_white_space()
        if self.current ~= QUOTE then self:expected("name") end
        local name = self:read_text()
        self:skip_white_space()
        if not self:read_if(58) then self:expected("':'") end
        self:skip_white_space()
        object:add(name, self:read_value())
        self:skip_white_space()
    until not self:read_if(44)
    if not self:read_if(125) then self:expected("',' or '}'") end
    return object
end

function Parser:read_literal(literal)
    for i = 1, #literal.text do
        if not self:read_if(byte(literal.text, i)) then self:expected(literal.text) end
    end
    return literal
end

function Parser:read_text()
    self:read()
    self:start_capture()
    while self.current ~= QUOTE do
        if self.current == BACKSLASH then
            self:pause_capture()
            self:read_escape()
            self:start_capture()
        elseif self.current < 32 then
            self:expected("character of a text")
        else
            self:read()
        end
    end
    local text = self:end_capture()
    self:read()
    return text
end

local ESCAPES = { [98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r", [116] = "\t" }

function Parser:read_escape()
    self:read()
    local current = self.current
    if current == QUOTE or current == 47 or current == BACKSLASH then
        self.captured = self.captured .. char(current)
    elseif ESCAPES[current] then
        self.captured = self.captured .. ESCAPES[current]
    else
        self:expected("known escape")
    end
    self:read()
end

function Parser:read_number()
    self:start_capture()
    self:read_if(MINUS)
    local first = self.current
    if not self:read_digit() then self:expected("digit") end
    if first ~= 48 then self:read_digits() end
    if self:read_if(46) then self:read_some_digits() end
    if self:read_if(101) or self:read_if(69) then
        if not self:read_if(43) then self:read_if(MINUS) end
        self:read_some_digits()
    end
    return text_new(JsonNumber, self:end_capture())
end

function Parser:read_some_digits()
    if not self:read_digit() then self:expected("digit") end
    self:read_digits()
end

function Parser:read_digits()
    while self:read_digit() do end
end

function Parser:read_digit()
    if not self:is_digit() then return false end
    self:read()
    return true
end

function Parser:read_if(character)
    if self.current ~= character then return false end
    self:read()
    return true
end

function Parser:skip_white_space()
    while self.current == 32 or self.current == 9 or self.current == 10 or self.current == 13 do self:read() end
end

function Parser:read()
    if self.current == 10 then
        self.line = self.line + 1
        self.column = 0
    end
    self.index = self.index + 1
    self.column = self.column + 1
    self.current = self.index <= self.length and byte(self.input, self.index) or END
end

function Parser:is_digit()
    return self.current >= 48 and self.current <= 57
end

function Parser:start_capture()
    self.capture_start = self.index
end

function Parser:pause_capture()
    self.captured = self.captured .. sub(self.input, self.capture_start, self.index - 1)
end

function Parser:end_capture()
    local piece = sub(self.input, self.capture_start, self.index - 1)
    if self.captured == "" then return piece end
    local whole = self.captured .. piece
    self.captured = ""
    return whole
end

function Parser:expected(what)
    self:error("expected " .. what)
end

function Parser:error(what)
    error(what .. ", line " .. self.line .. ", column " .. self.column)
end

local function row(index)
    local group = (index * 7) % 18
    local texts = '["' .. index + 1 .. '","E' .. index .. '","Element \\"' .. index .. '\\"","Group of metals","' .. group
        .. '","' .. index % 7 .. '"]'
    local colours = "[null,null,null,[" .. index * 2 .. "," .. 255 - index .. "," .. index % 64 .. ",255],null,null]"
    return '["create","w' .. 108 + index .. '","widgets.GridItem",{"parent":"w99","index":' .. index .. ',"texts":' .. texts
        .. ',"cellBackgrounds":' .. colours .. "}]"
end

local function column(index)
    local place = '"index":' .. index .. ',"left":' .. index * 50 .. ',"width":50,"ratio":' .. index .. ".25e-1"
    local bounds = '"bounds":[' .. index .. ",0,1008," .. 586 - index .. '],"tabIndex":-1'
    return '["create","w' .. 100 + index .. '","widgets.GridColumn",{"parent":"w99",' .. place .. "," .. bounds
        .. ',"moveable":true,"style":["NONE","BORDER"]}]'
end

local function text()
    local operations = {}
    for i = 0, 18 do
        operations[#operations + 1] = column(i)
        operations[#operations + 1] = '["listen","w' .. 100 + i .. '",{"Selection":true,"DefaultSelection":false}]'
    end
    for i = 0, 117 do operations[#operations + 1] = row(i) end
    return '{"head":{"requestCounter":4},"operations":[' .. table.concat(operations, ",") .. "]}"
end

for _ = 1, tonumber(arg[1] or 1) do
    local source = text()
    local right = true
    for _ = 1, 20 do
        local value = Parser.new(source):parse()
        local head = value:as_object():get("head")
        local operations = value:as_object():get("operations")
        right = right and value:is_object() and head ~= nil and head:is_object()
        right = right and operations ~= nil and operations:is_array() and operations:as_array():size() == 156
    end
    print("Json " .. #source .. " " .. tostring(right))
end
