-- Are We Fast Yet: DeltaBlue. As deltablue.ts; run so often as the first argument says.

local function class(above)
    local made = setmetatable({}, above)
    made.__index = made
    return made
end

-- What is smaller is stronger.
local Strength = class()

function Strength.new(weight)
    return setmetatable({ weight = weight }, Strength)
end

function Strength:stronger(other)
    return self.weight < other.weight
end

function Strength:weaker(other)
    return self.weight > other.weight
end

function Strength:weakest(other)
    if other:weaker(self) then return other end
    return self
end

local REQUIRED, PREFERRED, STRONG_DEFAULT = Strength.new(-800), Strength.new(-400), Strength.new(-200)
local DEFAULT, WEAKEST = Strength.new(0), Strength.new(10000)
local NONE, FORWARD, BACKWARD = 0, 1, 2

local Queue = class()

function Queue.new()
    return setmetatable({ items = {}, first = 1 }, Queue)
end

function Queue:push(item)
    local items = self.items
    items[#items + 1] = item
end

function Queue:is_empty()
    return self.first > #self.items
end

function Queue:remove_first()
    local item = self.items[self.first]
    self.first = self.first + 1
    return item
end

local Variable = class()

function Variable.new(value)
    local made = { value = value, constraints = {}, determined_by = nil, walk_strength = WEAKEST, stay = true, mark = 0 }
    return setmetatable(made, Variable)
end

function Variable:add_constraint(constraint)
    self.constraints[#self.constraints + 1] = constraint
end

function Variable:remove_constraint(constraint)
    local kept = {}
    for _, other in ipairs(self.constraints) do
        if other ~= constraint then kept[#kept + 1] = other end
    end
    self.constraints = kept
    if self.determined_by == constraint then self.determined_by = nil end
end

local Constraint = class()

function Constraint:is_input()
    return false
end

function Constraint:add(planner)
    self:add_to_graph()
    planner:incremental_add(self)
end

function Constraint:destroy(planner)
    if self:is_satisfied() then planner:incremental_remove(self) end
    self:remove_from_graph()
end

function Constraint:inputs_known(mark)
    return not self:inputs_have_one(function(input)
        return not (input.mark == mark or input.stay or input.determined_by == nil)
    end)
end

function Constraint:satisfy(mark, planner)
    self:choose_method(mark)
    if not self:is_satisfied() then
        if self.strength == REQUIRED then error("a required constraint cannot be satisfied") end
        return nil
    end
    self:inputs_do(function(input)
        input.mark = mark
    end)
    local out = self:output()
    local overridden = out.determined_by
    if overridden ~= nil then overridden:mark_unsatisfied() end
    out.determined_by = self
    if not planner:add_propagate(self, mark) then error("constraints in a circle") end
    out.mark = mark
    return overridden
end

local BinaryConstraint = class(Constraint)

function BinaryConstraint:is_satisfied()
    return self.direction ~= NONE
end

function BinaryConstraint:add_to_graph()
    self.first:add_constraint(self)
    self.second:add_constraint(self)
    self.direction = NONE
end

function BinaryConstraint:remove_from_graph()
    self.first:remove_constraint(self)
    self.second:remove_constraint(self)
    self.direction = NONE
end

function BinaryConstraint:choose_method(mark)
    local first, second, strength = self.first, self.second, self.strength
    if first.mark == mark then
        self.direction = second.mark ~= mark and strength:stronger(second.walk_strength) and FORWARD or NONE
    elseif second.mark == mark then
        self.direction = strength:stronger(first.walk_strength) and BACKWARD or NONE
    elseif first.walk_strength:weaker(second.walk_strength) then
        self.direction = strength:stronger(first.walk_strength) and BACKWARD or NONE
    else
        self.direction = strength:stronger(second.walk_strength) and FORWARD or NONE
    end
end

function BinaryConstraint:inputs_do(action)
    action(self:input())
end

function BinaryConstraint:inputs_have_one(test)
    return test(self:input())
end

function BinaryConstraint:mark_unsatisfied()
    self.direction = NONE
end

function BinaryConstraint:input()
    if self.direction == FORWARD then return self.first end
    return self.second
end

function BinaryConstraint:output()
    if self.direction == FORWARD then return self.second end
    return self.first
end

function BinaryConstraint:recalculate()
    local from, to = self:input(), self:output()
    to.walk_strength = self.strength:weakest(from.walk_strength)
    to.stay = from.stay
    if to.stay then self:execute() end
end

local EqualityConstraint = class(BinaryConstraint)

function EqualityConstraint.new(first, second, strength, planner)
    local made = setmetatable({ strength = strength, first = first, second = second, direction = NONE }, EqualityConstraint)
    made:add(planner)
    return made
end

function EqualityConstraint:execute()
    self:output().value = self:input().value
end

-- The second is the first, scaled and moved.
local ScaleConstraint = class(BinaryConstraint)

function ScaleConstraint.new(from, scale, offset, to, strength, planner)
    local made = { strength = strength, first = from, second = to, direction = NONE, scale = scale, offset = offset }
    setmetatable(made, ScaleConstraint):add(planner)
    return made
end

function ScaleConstraint:add_to_graph()
    BinaryConstraint.add_to_graph(self)
    self.scale:add_constraint(self)
    self.offset:add_constraint(self)
end

function ScaleConstraint:remove_from_graph()
    BinaryConstraint.remove_from_graph(self)
    self.scale:remove_constraint(self)
    self.offset:remove_constraint(self)
end

function ScaleConstraint:execute()
    if self.direction == FORWARD then
        self.second.value = self.first.value * self.scale.value + self.offset.value
    else
        self.first.value = (self.second.value - self.offset.value) // self.scale.value
    end
end

function ScaleConstraint:inputs_do(action)
    action(self:input())
    action(self.scale)
    action(self.offset)
end

function ScaleConstraint:inputs_have_one(test)
    return test(self:input()) or test(self.scale) or test(self.offset)
end

function ScaleConstraint:recalculate()
    local from, to = self:input(), self:output()
    to.walk_strength = self.strength:weakest(from.walk_strength)
    to.stay = from.stay and self.scale.stay and self.offset.stay
    if to.stay then self:execute() end
end

local UnaryConstraint = class(Constraint)

local function unary_new(of, variable, strength, planner)
    local made = setmetatable({ strength = strength, variable = variable, satisfied = false }, of)
    made:add(planner)
    return made
end

function UnaryConstraint:is_satisfied()
    return self.satisfied
end

function UnaryConstraint:add_to_graph()
    self.variable:add_constraint(self)
    self.satisfied = false
end

function UnaryConstraint:remove_from_graph()
    self.variable:remove_constraint(self)
    self.satisfied = false
end

function UnaryConstraint:choose_method(mark)
    local variable = self.variable
    self.satisfied = variable.mark ~= mark and self.strength:stronger(variable.walk_strength)
end

-- What stays or is set from outside computes nothing.
function UnaryConstraint:execute() end

function UnaryConstraint:inputs_do() end

function UnaryConstraint:inputs_have_one()
    return false
end

function UnaryConstraint:mark_unsatisfied()
    self.satisfied = false
end

function UnaryConstraint:output()
    return self.variable
end

function UnaryConstraint:recalculate()
    self.variable.walk_strength = self.strength
    self.variable.stay = not self:is_input()
    if self.variable.stay then self:execute() end
end

local EditConstraint = class(UnaryConstraint)

function EditConstraint.new(variable, strength, planner)
    return unary_new(EditConstraint, variable, strength, planner)
end

function EditConstraint:is_input()
    return true
end

local StayConstraint = class(UnaryConstraint)

function StayConstraint.new(variable, strength, planner)
    return unary_new(StayConstraint, variable, strength, planner)
end

-- Constraints in the order in which they are to be executed.
local Plan = class()

function Plan.new()
    return setmetatable({ steps = {} }, Plan)
end

function Plan:push(constraint)
    self.steps[#self.steps + 1] = constraint
end

function Plan:execute()
    for _, step in ipairs(self.steps) do step:execute() end
end

local Planner = class()

function Planner.new()
    return setmetatable({ current_mark = 1 }, Planner)
end

function Planner:incremental_add(constraint)
    local mark = self:new_mark()
    local overridden = constraint:satisfy(mark, self)
    while overridden ~= nil do overridden = overridden:satisfy(mark, self) end
end

function Planner:incremental_remove(constraint)
    local out = constraint:output()
    constraint:mark_unsatisfied()
    constraint:remove_from_graph()
    for _, unsatisfied in ipairs(self:remove_propagate_from(out)) do self:incremental_add(unsatisfied) end
end

function Planner:extract_plan(constraints)
    local sources = Queue.new()
    for _, constraint in ipairs(constraints) do
        if constraint:is_input() and constraint:is_satisfied() then sources:push(constraint) end
    end
    return self:make_plan(sources)
end

function Planner:add_propagate(constraint, mark)
    local todo = Queue.new()
    todo:push(constraint)
    while not todo:is_empty() do
        local next = todo:remove_first()
        if next:output().mark == mark then
            self:incremental_remove(constraint)
            return false
        end
        next:recalculate()
        self:add_consuming(next:output(), todo)
    end
    return true
end

function Planner:change(variable, value)
    local edit = EditConstraint.new(variable, PREFERRED, self)
    local plan = self:extract_plan({ edit })
    for _ = 1, 10 do
        variable.value = value
        plan:execute()
    end
    edit:destroy(self)
end

function Planner:new_mark()
    self.current_mark = self.current_mark + 1
    return self.current_mark
end

function Planner:make_plan(todo)
    local mark = self:new_mark()
    local plan = Plan.new()
    while not todo:is_empty() do
        local constraint = todo:remove_first()
        local out = constraint:output()
        if out.mark ~= mark and constraint:inputs_known(mark) then
            plan:push(constraint)
            out.mark = mark
            self:add_consuming(out, todo)
        end
    end
    return plan
end

function Planner:constraints_consuming(variable, action)
    local determining = variable.determined_by
    for _, constraint in ipairs(variable.constraints) do
        if constraint ~= determining and constraint:is_satisfied() then action(constraint) end
    end
end

function Planner:add_consuming(variable, todo)
    self:constraints_consuming(variable, function(constraint)
        todo:push(constraint)
    end)
end

-- What is not satisfied downstream of the variable, which nothing determines any longer: the strongest first.
function Planner:remove_propagate_from(out)
    local unsatisfied = {}
    out.determined_by = nil
    out.walk_strength = WEAKEST
    out.stay = true
    local todo = Queue.new()
    todo:push(out)
    while not todo:is_empty() do
        local variable = todo:remove_first()
        for _, constraint in ipairs(variable.constraints) do
            if not constraint:is_satisfied() then unsatisfied[#unsatisfied + 1] = constraint end
        end
        self:constraints_consuming(variable, function(constraint)
            constraint:recalculate()
            todo:push(constraint:output())
        end)
    end
    table.sort(unsatisfied, function(a, b)
        return a.strength:stronger(b.strength)
    end)
    return unsatisfied
end

-- A chain of equal values: what is set at its one end has to come out at the other.
local function chain(length)
    local planner = Planner.new()
    local variables = {}
    for i = 0, length do variables[i] = Variable.new(0) end
    for i = 0, length - 1 do EqualityConstraint.new(variables[i], variables[i + 1], REQUIRED, planner) end
    StayConstraint.new(variables[length], STRONG_DEFAULT, planner)
    local edit = EditConstraint.new(variables[0], PREFERRED, planner)
    local plan = planner:extract_plan({ edit })
    local right = true
    for i = 0, 99 do
        variables[0].value = i
        plan:execute()
        if variables[length].value ~= i then right = false end
    end
    edit:destroy(planner)
    return right
end

-- Points and what they are projected to, by one scale and one offset: each of the four is changed in turn.
local function projection(count)
    local planner = Planner.new()
    local scale, offset = Variable.new(10), Variable.new(1000)
    local projected = {}
    local source, target
    for i = 0, count - 1 do
        source, target = Variable.new(i), Variable.new(i)
        projected[i] = target
        StayConstraint.new(source, DEFAULT, planner)
        ScaleConstraint.new(source, scale, offset, target, REQUIRED, planner)
    end
    planner:change(source, 17)
    local right = target.value == 1170
    planner:change(target, 1050)
    right = right and source.value == 5
    planner:change(scale, 5)
    for i = 0, count - 2 do right = right and projected[i].value == i * 5 + 1000 end
    planner:change(offset, 2000)
    for i = 0, count - 2 do right = right and projected[i].value == i * 5 + 2000 end
    return right
end

for _ = 1, tonumber(arg[1] or 1) do
    local size = 2000
    local right = chain(size) and projection(size)
    print("DeltaBlue " .. size .. " " .. tostring(right))
end
