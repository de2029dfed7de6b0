-- Are We Fast Yet: Havlak. As havlak.ts; run so often as the first argument says.

local UNVISITED = 2147483647
local MOST_NON_BACK_PREDECESSORS = 32768
local NON_HEADER, REDUCIBLE, SELF, IRREDUCIBLE, DEAD = 0, 1, 2, 3, 4

local function class()
    local made = {}
    made.__index = made
    return made
end

local function includes(list, value)
    for i = 1, #list do
        if list[i] == value then return true end
    end
    return false
end

local BasicBlock = class()

function BasicBlock.new(name)
    return setmetatable({ name = name, in_edges = {}, out_edges = {} }, BasicBlock)
end

local Edge = class()

function Edge.new(graph, from_name, to_name)
    local from = graph:create_node(from_name)
    local to = graph:create_node(to_name)
    local made = setmetatable({ from = from, to = to }, Edge)
    from.out_edges[#from.out_edges + 1] = to
    to.in_edges[#to.in_edges + 1] = from
    graph:add_edge(made)
    return made
end

local ControlFlowGraph = class()

function ControlFlowGraph.new()
    return setmetatable({ blocks = {}, start = nil, by_name = {}, edges = {} }, ControlFlowGraph)
end

function ControlFlowGraph:create_node(name)
    local known = self.by_name[name]
    if known ~= nil then return known end
    local made = BasicBlock.new(name)
    self.by_name[name] = made
    self.blocks[#self.blocks + 1] = made
    if self.start == nil then self.start = made end
    return made
end

function ControlFlowGraph:add_edge(edge)
    self.edges[#self.edges + 1] = edge
end

-- Numbers of blocks: a table of lists, never more blocks than lists.
local Dictionary = class()

function Dictionary.new()
    return setmetatable({ buckets = {}, room = 16, size = 0 }, Dictionary)
end

function Dictionary:find(key)
    local entry = self.buckets[key.name & (self.room - 1)]
    while entry ~= nil and entry.key ~= key do entry = entry.next end
    return entry
end

function Dictionary:get(key)
    local entry = self:find(key)
    if entry == nil then return UNVISITED end
    return entry.value
end

function Dictionary:set(key, value)
    local entry = self:find(key)
    if entry ~= nil then
        entry.value = value
        return
    end
    if self.size >= self.room then self:grow() end
    local at = key.name & (self.room - 1)
    self.buckets[at] = { key = key, value = value, next = self.buckets[at] }
    self.size = self.size + 1
end

function Dictionary:grow()
    local before = self.buckets
    local buckets = {}
    local room = self.room * 2
    for i = 0, self.room - 1 do
        local entry = before[i]
        while entry ~= nil do
            local next = entry.next
            local at = entry.key.name & (room - 1)
            entry.next = buckets[at]
            buckets[at] = entry
            entry = next
        end
    end
    self.buckets = buckets
    self.room = room
end

local SimpleLoop = class()

function SimpleLoop.new(header, is_reducible)
    local made = { header = header, is_reducible = is_reducible, parent = nil, children = {}, blocks = {} }
    made.nesting_level, made.depth_level, made.is_root = 0, 0, false
    if header ~= nil then made.blocks[1] = header end
    return setmetatable(made, SimpleLoop)
end

function SimpleLoop:set_parent(parent)
    self.parent = parent
    if not includes(parent.children, self) then parent.children[#parent.children + 1] = self end
end

function SimpleLoop:add_node(block)
    if not includes(self.blocks, block) then self.blocks[#self.blocks + 1] = block end
end

function SimpleLoop:set_nesting_level(level)
    self.nesting_level = level
    if level == 0 then self.is_root = true end
end

local LoopStructureGraph = class()

function LoopStructureGraph.new()
    local root = SimpleLoop.new(nil, false)
    root:set_nesting_level(0)
    return setmetatable({ root = root, loops = { root } }, LoopStructureGraph)
end

function LoopStructureGraph:create_loop(header, is_reducible)
    local loop = SimpleLoop.new(header, is_reducible)
    self.loops[#self.loops + 1] = loop
    return loop
end

function LoopStructureGraph:calculate_nesting_level()
    for _, loop in ipairs(self.loops) do
        if not loop.is_root and loop.parent == nil then loop:set_parent(self.root) end
    end
    self:calculate_below(self.root, 0)
end

function LoopStructureGraph:calculate_below(loop, depth)
    loop.depth_level = depth
    for _, child in ipairs(loop.children) do
        self:calculate_below(child, depth + 1)
        local level = child.nesting_level + 1
        if level > loop.nesting_level then loop:set_nesting_level(level) end
    end
end

local UnionFindNode = class()

function UnionFindNode.new()
    local made = { parent = nil, block = nil, loop = nil, number = 0 }
    made.parent = made
    return setmetatable(made, UnionFindNode)
end

function UnionFindNode:begin(block, number)
    self.parent = self
    self.block = block
    self.number = number
    self.loop = nil
end

-- The way there is shortened.
function UnionFindNode:find_set()
    local passed = {}
    local node = self
    while node ~= node.parent do
        if node.parent ~= node.parent.parent then passed[#passed + 1] = node end
        node = node.parent
    end
    for _, other in ipairs(passed) do other:union(self.parent) end
    return node.parent
end

function UnionFindNode:union(parent)
    self.parent = parent
end

local LoopFinder = class()

function LoopFinder.new(graph, loops)
    local made = { graph = graph, loops = loops, non_back_predecessors = {}, back_predecessors = {}, number = Dictionary.new() }
    made.size, made.header, made.types, made.last, made.nodes = 0, {}, {}, {}, {}
    return setmetatable(made, LoopFinder)
end

function LoopFinder:find_loops()
    local start = self.graph.start
    if start == nil then return end
    self.size = #self.graph.blocks
    for i = 1, self.size do
        self.non_back_predecessors[i] = {}
        self.back_predecessors[i] = {}
        self.header[i] = 0
        self.types[i] = NON_HEADER
        self.last[i] = 0
        self.nodes[i] = UnionFindNode.new()
    end
    for _, block in ipairs(self.graph.blocks) do self.number:set(block, UNVISITED) end
    self:search(start, 1)
    self:identify_edges()
    for w = self.size, 1, -1 do
        local block = self.nodes[w].block
        if block ~= nil and not self:find_loop(w, block) then return end
    end
end

-- Whether the finder goes on behind the loop of this header.
function LoopFinder:find_loop(w, block)
    local pool = {}
    for _, v in ipairs(self.back_predecessors[w]) do
        if v == w then self.types[w] = SELF else pool[#pool + 1] = self.nodes[v]:find_set() end
    end
    local work = table.move(pool, 1, #pool, 1, {})
    if #pool > 0 then self.types[w] = REDUCIBLE end
    local at = 1
    while at <= #work do
        local x = work[at].number
        if #self.non_back_predecessors[x] > MOST_NON_BACK_PREDECESSORS then return false end
        self:process_non_back(w, self.non_back_predecessors[x], pool, work)
        at = at + 1
    end
    if #pool > 0 or self.types[w] == SELF then
        local loop = self.loops:create_loop(block, self.types[w] ~= IRREDUCIBLE)
        self:set_loop(w, pool, loop)
    end
    return true
end

function LoopFinder:process_non_back(w, predecessors, pool, work)
    for _, predecessor in ipairs(predecessors) do
        local node = self.nodes[predecessor]:find_set()
        if not self:is_ancestor(w, node.number) then
            self.types[w] = IRREDUCIBLE
            self:add_non_back(w, node.number)
        elseif node.number ~= w and not includes(pool, node) then
            work[#work + 1] = node
            pool[#pool + 1] = node
        end
    end
end

function LoopFinder:set_loop(w, pool, loop)
    self.nodes[w].loop = loop
    for _, node in ipairs(pool) do
        self.header[node.number] = w
        node:union(self.nodes[w])
        local inner = node.loop
        if inner ~= nil then inner:set_parent(loop) else loop:add_node(node.block) end
    end
end

function LoopFinder:is_ancestor(w, v)
    return w <= v and v <= self.last[w]
end

-- Numbers the blocks in the order of a search by depth; the last number given.
function LoopFinder:search(block, number)
    self.nodes[number]:begin(block, number)
    self.number:set(block, number)
    local last = number
    for _, target in ipairs(block.out_edges) do
        if self.number:get(target) == UNVISITED then last = self:search(target, last + 1) end
    end
    self.last[number] = last
    return last
end

function LoopFinder:identify_edges()
    for w = 1, self.size do
        local block = self.nodes[w].block
        if block == nil then self.types[w] = DEAD else self:process_edges(block, w) end
    end
end

function LoopFinder:process_edges(block, w)
    for _, from in ipairs(block.in_edges) do
        local v = self.number:get(from)
        if v ~= UNVISITED then
            if self:is_ancestor(w, v) then
                local back = self.back_predecessors[w]
                back[#back + 1] = v
            else
                self:add_non_back(w, v)
            end
        end
    end
end

function LoopFinder:add_non_back(w, v)
    local predecessors = self.non_back_predecessors[w]
    if not includes(predecessors, v) then predecessors[#predecessors + 1] = v end
end

local LoopTester = class()

function LoopTester.new()
    local made = setmetatable({ graph = ControlFlowGraph.new(), loops = LoopStructureGraph.new() }, LoopTester)
    made.graph:create_node(0)
    made:base_loop(0)
    made.graph:create_node(1)
    made:connect(0, 2)
    return made
end

-- The number of loops found.
function LoopTester:run(dummies, times, outer, middle, inner)
    for _ = 1, dummies do self:find_loops(self.loops) end
    self:build(outer, middle, inner)
    self:find_loops(self.loops)
    for _ = 1, times do self:find_loops(LoopStructureGraph.new()) end
    self.loops:calculate_nesting_level()
    return #self.loops.loops
end

function LoopTester:find_loops(loops)
    LoopFinder.new(self.graph, loops):find_loops()
end

function LoopTester:build(outer, middle, inner)
    local n = 2
    for _ = 1, outer do
        self.graph:create_node(n + 1)
        self:connect(2, n + 1)
        n = n + 1
        for _ = 1, middle do
            local top = n
            n = self:straight(n, 1)
            for _ = 1, inner do n = self:base_loop(n) end
            local bottom = self:straight(n, 1)
            self:connect(n, top)
            n = bottom
        end
        self:connect(n, 1)
    end
end

function LoopTester:connect(from, to)
    Edge.new(self.graph, from, to)
end

function LoopTester:straight(start, length)
    for i = 0, length - 1 do self:connect(start + i, start + i + 1) end
    return start + length
end

function LoopTester:diamond(start)
    self:connect(start, start + 1)
    self:connect(start, start + 2)
    self:connect(start + 1, start + 3)
    self:connect(start + 2, start + 3)
    return start + 3
end

function LoopTester:base_loop(from)
    local header = self:straight(from, 1)
    local first = self:diamond(header)
    local between = self:straight(first, 1)
    local second = self:diamond(between)
    local footer = self:straight(second, 1)
    self:connect(second, between)
    self:connect(first, header)
    self:connect(footer, from)
    return self:straight(footer, 1)
end

for _ = 1, tonumber(arg[1] or 1) do
    local tester = LoopTester.new()
    local loops = tester:run(1, 50, 10, 10, 5)
    local blocks = #tester.graph.blocks
    print("Havlak " .. loops .. " " .. blocks .. " " .. tostring(loops == 1605 and blocks == 5213))
end
