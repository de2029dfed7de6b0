-- Are We Fast Yet: CD, CollisionDetector. As cd.ts; run so often as the first argument says.

local MIN_X, MIN_Y, MAX_X, MAX_Y, MIN_Z, MAX_Z = 0.0, 0.0, 1000.0, 1000.0, 0.0, 10.0
local PROXIMITY_RADIUS = 1.0
local VOXEL_SIZE = 2.0

local function class()
    local made = {}
    made.__index = made
    return made
end

local function compare_numbers(a, b)
    return a < b and -1 or a > b and 1 or 0
end

local Vector2D = class()

function Vector2D.new(x, y)
    return setmetatable({ x = x, y = y }, Vector2D)
end

function Vector2D:plus(other)
    return Vector2D.new(self.x + other.x, self.y + other.y)
end

function Vector2D:minus(other)
    return Vector2D.new(self.x - other.x, self.y - other.y)
end

function Vector2D:compare_to(other)
    local by_x = compare_numbers(self.x, other.x)
    if by_x ~= 0 then return by_x end
    return compare_numbers(self.y, other.y)
end

local Vector3D = class()

function Vector3D.new(x, y, z)
    return setmetatable({ x = x, y = y, z = z }, Vector3D)
end

function Vector3D:plus(other)
    return Vector3D.new(self.x + other.x, self.y + other.y, self.z + other.z)
end

function Vector3D:minus(other)
    return Vector3D.new(self.x - other.x, self.y - other.y, self.z - other.z)
end

function Vector3D:dot(other)
    return self.x * other.x + self.y * other.y + self.z * other.z
end

function Vector3D:squared_magnitude()
    return self:dot(self)
end

function Vector3D:magnitude()
    return math.sqrt(self:squared_magnitude())
end

function Vector3D:times(amount)
    return Vector3D.new(self.x * amount, self.y * amount, self.z * amount)
end

local CallSign = class()

function CallSign.new(value)
    return setmetatable({ value = value }, CallSign)
end

function CallSign:compare_to(other)
    return self.value == other.value and 0 or self.value < other.value and -1 or 1
end

local TreeNode = class()

function TreeNode.new(key, value)
    return setmetatable({ key = key, value = value, left = nil, right = nil, parent = nil, red = true }, TreeNode)
end

local function minimum(node)
    local least = node
    local left = least.left
    while left ~= nil do
        least = left
        left = least.left
    end
    return least
end

function TreeNode:successor()
    local right = self.right
    if right ~= nil then return minimum(right) end
    local node = self
    local above = self.parent
    while above ~= nil and node == above.right do
        node = above
        above = above.parent
    end
    return above
end

local function is_black(node)
    return node == nil or not node.red
end

local RedBlackTree = class()

function RedBlackTree.new(compare)
    return setmetatable({ root = nil, compare = compare }, RedBlackTree)
end

-- The value that the key had before.
function RedBlackTree:put(key, value)
    local above = nil
    local at = self.root
    local order = 0
    while at ~= nil do
        order = self.compare(key, at.key)
        if order == 0 then
            local before = at.value
            at.value = value
            return before
        end
        above = at
        if order < 0 then at = at.left else at = at.right end
    end
    local made = TreeNode.new(key, value)
    made.parent = above
    if above == nil then
        self.root = made
    elseif order < 0 then
        above.left = made
    else
        above.right = made
    end
    self:balance_after_put(made)
    return nil
end

function RedBlackTree:find(key)
    local at = self.root
    while at ~= nil do
        local order = self.compare(key, at.key)
        if order == 0 then return at end
        if order < 0 then at = at.left else at = at.right end
    end
    return nil
end

function RedBlackTree:get(key)
    local node = self:find(key)
    if node == nil then return nil end
    return node.value
end

function RedBlackTree:for_each(action)
    local root = self.root
    if root == nil then return end
    local node = minimum(root)
    while node ~= nil do
        action(node.key, node.value)
        node = node:successor()
    end
end

function RedBlackTree:replace_below(above, node, by)
    if above == nil then
        self.root = by
    elseif above.left == node then
        above.left = by
    else
        above.right = by
    end
end

-- The value that the key had.
function RedBlackTree:remove(key)
    local node = self:find(key)
    if node == nil then return nil end
    local taken = node
    if node.left ~= nil and node.right ~= nil then taken = node:successor() end
    local below = taken.left or taken.right
    local above = taken.parent
    if below ~= nil then below.parent = above end
    self:replace_below(above, taken, below)
    if taken ~= node then
        if not taken.red then self:balance_after_remove(below, above) end
        taken.parent = node.parent
        taken.red = node.red
        taken.left = node.left
        taken.right = node.right
        if node.left ~= nil then node.left.parent = taken end
        if node.right ~= nil then node.right.parent = taken end
        self:replace_below(node.parent, node, taken)
    elseif not taken.red then
        self:balance_after_remove(below, above)
    end
    return node.value
end

function RedBlackTree:rotate_left(node)
    local up = node.right
    local moved = up.left
    node.right = moved
    if moved ~= nil then moved.parent = node end
    local above = node.parent
    up.parent = above
    self:replace_below(above, node, up)
    up.left = node
    node.parent = up
end

function RedBlackTree:rotate_right(node)
    local up = node.left
    local moved = up.right
    node.left = moved
    if moved ~= nil then moved.parent = node end
    local above = node.parent
    up.parent = above
    self:replace_below(above, node, up)
    up.right = node
    node.parent = up
end

function RedBlackTree:balance_after_put(made)
    local node = made
    local parent = node.parent
    while parent ~= nil and parent.red do
        local grand = parent.parent
        local is_left = parent == grand.left
        local uncle
        if is_left then uncle = grand.right else uncle = grand.left end
        if uncle ~= nil and uncle.red then
            parent.red = false
            uncle.red = false
            grand.red = true
            node = grand
        else
            local inner
            if is_left then inner = parent.right else inner = parent.left end
            if node == inner then
                node = parent
                if is_left then self:rotate_left(node) else self:rotate_right(node) end
            end
            node.parent.red = false
            grand.red = true
            if is_left then self:rotate_right(grand) else self:rotate_left(grand) end
        end
        parent = node.parent
    end
    self.root.red = false
end

function RedBlackTree:balance_after_remove(node, above)
    while above ~= nil and is_black(node) do
        local is_left = node == above.left
        local near, far = "right", "left"
        if is_left then near, far = "left", "right" end
        local sibling = above[far]
        if sibling.red then
            sibling.red = false
            above.red = true
            if is_left then self:rotate_left(above) else self:rotate_right(above) end
            sibling = above[far]
        end
        if is_black(sibling.left) and is_black(sibling.right) then
            sibling.red = true
            node = above
            above = node.parent
        else
            if is_black(sibling[far]) then
                sibling[near].red = false
                sibling.red = true
                if is_left then self:rotate_right(sibling) else self:rotate_left(sibling) end
                sibling = above[far]
            end
            sibling.red = above.red
            above.red = false
            sibling[far].red = false
            if is_left then self:rotate_left(above) else self:rotate_right(above) end
            node = self.root
            above = nil
        end
    end
    if node ~= nil then node.red = false end
end

local Motion = class()

function Motion.new(sign, from, to)
    return setmetatable({ sign = sign, from = from, to = to }, Motion)
end

function Motion:delta()
    return self.to:minus(self.from)
end

-- Where both come too near each other, if they do.
function Motion:find_intersection(other)
    local ours = self:delta()
    local theirs = other:delta()
    local a = theirs:minus(ours):squared_magnitude()
    if a == 0.0 then
        -- Side by side at one speed: always as far from each other as now.
        local distance = other.from:minus(self.from):magnitude()
        if distance <= PROXIMITY_RADIUS then return self.from:plus(other.from):times(0.5) end
        return nil
    end
    local b = 2.0 * self.from:minus(other.from):dot(ours:minus(theirs))
    local c = other.from:minus(self.from):squared_magnitude() - PROXIMITY_RADIUS * PROXIMITY_RADIUS
    local discriminant = b * b - 4.0 * a * c
    if discriminant < 0.0 then return nil end
    local root = math.sqrt(discriminant)
    local first = (-b - root) / (2.0 * a)
    local last = (-b + root) / (2.0 * a)
    local meets = (first <= 1.0 and 1.0 <= last) or (first <= 0.0 and 0.0 <= last) or (0.0 <= first and last <= 1.0)
    if not meets then return nil end
    local time = first <= 0.0 and 0.0 or first
    local middle = self.from:plus(ours:times(time)):plus(other.from:plus(theirs:times(time))):times(0.5)
    local inside = middle.x >= MIN_X and middle.x <= MAX_X and middle.y >= MIN_Y and middle.y <= MAX_Y
        and middle.z >= MIN_Z and middle.z <= MAX_Z
    if inside then return middle end
    return nil
end

-- Whether a way that begins at `from` touches the voxel on this axis, which it enters and leaves at these parts of the way.
local function touches(length, from, voxel, low, high)
    local radius = PROXIMITY_RADIUS / 2.0
    if length == 0.0 then return voxel <= from + radius and from - radius <= voxel + VOXEL_SIZE end
    return (low <= 1.0 and 1.0 <= high) or (low <= 0.0 and 0.0 <= high) or (0.0 <= low and high <= 1.0)
end

local function is_in_voxel(voxel, motion)
    if voxel.x > MAX_X or voxel.x < MIN_X or voxel.y > MAX_Y or voxel.y < MIN_Y then return false end
    local from = motion.from
    local radius = PROXIMITY_RADIUS / 2.0
    local along_x = motion.to.x - from.x
    local along_y = motion.to.y - from.y
    local low_x = (voxel.x - radius - from.x) / along_x
    local high_x = (voxel.x + VOXEL_SIZE + radius - from.x) / along_x
    if along_x < 0.0 then low_x, high_x = high_x, low_x end
    local low_y = (voxel.y - radius - from.y) / along_y
    local high_y = (voxel.y + VOXEL_SIZE + radius - from.y) / along_y
    if along_y < 0.0 then low_y, high_y = high_y, low_y end
    if not touches(along_x, from.x, voxel.x, low_x, high_x) then return false end
    if not touches(along_y, from.y, voxel.y, low_y, high_y) then return false end
    if along_x == 0.0 or along_y == 0.0 then return true end
    return (low_y <= high_x and high_x <= high_y) or (low_y <= low_x and low_x <= high_y)
        or (low_x <= low_y and high_y <= high_x)
end

local function compare(a, b)
    return a:compare_to(b)
end

local function whole(value)
    return value < 0.0 and math.ceil(value) or math.floor(value)
end

local CollisionDetector = class()

function CollisionDetector.new()
    local made = { state = RedBlackTree.new(compare) }
    made.horizontal, made.vertical = Vector2D.new(VOXEL_SIZE, 0.0), Vector2D.new(0.0, VOXEL_SIZE)
    return setmetatable(made, CollisionDetector)
end

function CollisionDetector:handle(frame)
    local motions = {}
    local seen = RedBlackTree.new(compare)
    for _, aircraft in ipairs(frame) do
        local before = self.state:put(aircraft.sign, aircraft.position)
        seen:put(aircraft.sign, aircraft)
        -- What is seen for the first time stands still.
        motions[#motions + 1] = Motion.new(aircraft.sign, before or aircraft.position, aircraft.position)
    end
    local gone = {}
    self.state:for_each(function(sign)
        if seen:get(sign) == nil then gone[#gone + 1] = sign end
    end)
    for _, sign in ipairs(gone) do self.state:remove(sign) end
    local collisions = {}
    for _, near in ipairs(self:reduce(motions)) do
        for i = 1, #near do
            local first = near[i]
            for j = i + 1, #near do
                local second = near[j]
                local position = first:find_intersection(second)
                if position ~= nil then
                    collisions[#collisions + 1] = { first = first.sign, second = second.sign, position = position }
                end
            end
        end
    end
    return collisions
end

-- The motions that share a voxel: only these can come near each other.
function CollisionDetector:reduce(motions)
    local voxels = RedBlackTree.new(compare)
    for _, motion in ipairs(motions) do
        self:draw(voxels, RedBlackTree.new(compare), self:voxel_of(motion.from), motion)
    end
    local shared = {}
    voxels:for_each(function(_, inside)
        if #inside > 1 then shared[#shared + 1] = inside end
    end)
    return shared
end

function CollisionDetector:draw(voxels, seen, voxel, motion)
    if not is_in_voxel(voxel, motion) then return end
    if seen:put(voxel, motion) ~= nil then return end
    local inside = voxels:get(voxel)
    if inside == nil then voxels:put(voxel, { motion }) else inside[#inside + 1] = motion end
    local left = voxel:minus(self.horizontal)
    local right = voxel:plus(self.horizontal)
    self:draw(voxels, seen, left, motion)
    self:draw(voxels, seen, right, motion)
    self:draw(voxels, seen, voxel:minus(self.vertical), motion)
    self:draw(voxels, seen, voxel:plus(self.vertical), motion)
    self:draw(voxels, seen, left:minus(self.vertical), motion)
    self:draw(voxels, seen, left:plus(self.vertical), motion)
    self:draw(voxels, seen, right:minus(self.vertical), motion)
    self:draw(voxels, seen, right:plus(self.vertical), motion)
end

function CollisionDetector:voxel_of(position)
    local x = VOXEL_SIZE * whole(position.x / VOXEL_SIZE)
    local y = VOXEL_SIZE * whole(position.y / VOXEL_SIZE)
    return Vector2D.new(position.x < 0.0 and x - VOXEL_SIZE or x, position.y < 0.0 and y - VOXEL_SIZE or y)
end

local Simulator = class()

function Simulator.new(aircraft)
    local signs = {}
    for i = 0, aircraft - 1 do signs[i] = CallSign.new(i) end
    return setmetatable({ signs = signs, count = aircraft }, Simulator)
end

function Simulator:simulate(time)
    local frame = {}
    for i = 0, self.count - 1, 2 do
        local cosine = math.cos(time) * 2.0 + i * 3.0
        local sine = math.sin(time) * 2.0 + i * 3.0
        frame[#frame + 1] = { sign = self.signs[i], position = Vector3D.new(time, cosine, 10.0) }
        frame[#frame + 1] = { sign = self.signs[i + 1], position = Vector3D.new(time, sine, 10.0) }
    end
    return frame
end

for _ = 1, tonumber(arg[1] or 1) do
    local simulator = Simulator.new(100)
    local detector = CollisionDetector.new()
    local collisions = 0
    for i = 0, 199 do collisions = collisions + #detector:handle(simulator:simulate(i / 10.0)) end
    print("CD " .. collisions .. " " .. tostring(collisions == 4305))
end
