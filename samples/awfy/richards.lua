-- Are We Fast Yet: Richards. As richards.ts; run so often as the first argument says.

local IDLER, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B = 0, 1, 2, 3, 4, 5
local DEVICE, WORK = 0, 1
local DATA_SIZE = 4

local function packet_new(link, identity, kind)
    return { link = link, identity = identity, kind = kind, datum = 0, data = { 0, 0, 0, 0 } }
end

local function append(packet, queue)
    packet.link = nil
    if queue == nil then return packet end
    local last = queue
    local next = last.link
    while next ~= nil do
        last = next
        next = last.link
    end
    last.link = packet
    return queue
end

local Task = {}
Task.__index = Task

function Task.new(link, identity, priority, input, step)
    local task = { link = link, identity = identity, priority = priority, input = input, step = step }
    task.packet_pending, task.waiting, task.holding = false, false, false
    return setmetatable(task, Task)
end

function Task:become(packet_pending, waiting)
    self.packet_pending = packet_pending
    self.waiting = waiting
    self.holding = false
end

function Task:stands()
    return self.holding or (not self.packet_pending and self.waiting)
end

function Task:run()
    local message = nil
    if self.packet_pending and self.waiting and not self.holding then message = self.input end
    if message ~= nil then
        self.input = message.link
        self:become(message.link ~= nil, false)
    end
    return self.step(message)
end

function Task:receive(packet, running)
    if self.input == nil then
        self.input = packet
        self.packet_pending = true
        if self.priority > running.priority then return self end
        return running
    end
    append(packet, self.input)
    return running
end

local Scheduler = {}
Scheduler.__index = Scheduler

function Scheduler.new()
    return setmetatable({ current_identity = 0, table = {}, packets = 0, holds = 0 }, Scheduler)
end

local function three(device)
    local first = packet_new(nil, device, DEVICE)
    return packet_new(packet_new(first, device, DEVICE), device, DEVICE)
end

function Scheduler:run()
    self:create_idler()
    local work = packet_new(nil, WORKER, WORK)
    self:create_worker(packet_new(work, WORKER, WORK))
    self:create_handler(HANDLER_A, 2000, three(DEVICE_A))
    self:create_handler(HANDLER_B, 3000, three(DEVICE_B))
    self:create_device(DEVICE_A, 4000)
    self:create_device(DEVICE_B, 5000)
    self:schedule()
    return self.packets == 23246 and self.holds == 9297
end

function Scheduler:schedule()
    self.current = self.list
    local task = self.current
    while task ~= nil do
        if task:stands() then
            task = task.link
        else
            self.current_identity = task.identity
            self.current = task
            task = task:run()
        end
    end
end

function Scheduler:create(identity, priority, work, waits, step)
    local task = Task.new(self.list, identity, priority, work, step)
    task:become(work ~= nil, waits)
    self.list = task
    self.table[identity] = task
end

function Scheduler:create_idler()
    local data = { control = 1, count = 10000 }
    self:create(IDLER, 0, nil, false, function()
        data.count = data.count - 1
        if data.count == 0 then return self:hold() end
        if data.control & 1 == 0 then
            data.control = data.control >> 1
            return self:release(DEVICE_A)
        end
        data.control = (data.control >> 1) ~ 53256
        return self:release(DEVICE_B)
    end)
end

function Scheduler:create_worker(work)
    local data = { destination = HANDLER_A, count = 0 }
    self:create(WORKER, 1000, work, true, function(message)
        if message == nil then return self:wait() end
        data.destination = data.destination == HANDLER_A and HANDLER_B or HANDLER_A
        message.identity = data.destination
        message.datum = 0
        for i = 1, DATA_SIZE do
            data.count = data.count + 1
            if data.count > 26 then data.count = 1 end
            message.data[i] = 65 + data.count - 1
        end
        return self:send(message)
    end)
end

function Scheduler:create_handler(identity, priority, queue)
    local data = { work = nil, device = nil }
    self:create(identity, priority, queue, true, function(message)
        if message ~= nil then
            if message.kind == WORK then
                data.work = append(message, data.work)
            else
                data.device = append(message, data.device)
            end
        end
        local work = data.work
        if work == nil then return self:wait() end
        local count = work.datum
        if count >= DATA_SIZE then
            data.work = work.link
            return self:send(work)
        end
        local device = data.device
        if device == nil then return self:wait() end
        data.device = device.link
        device.datum = work.data[count + 1]
        work.datum = count + 1
        return self:send(device)
    end)
end

function Scheduler:create_device(identity, priority)
    local data = { pending = nil }
    self:create(identity, priority, nil, true, function(message)
        if message ~= nil then
            data.pending = message
            return self:hold()
        end
        local pending = data.pending
        if pending == nil then return self:wait() end
        data.pending = nil
        return self:send(pending)
    end)
end

function Scheduler:hold()
    self.holds = self.holds + 1
    self.current.holding = true
    return self.current.link
end

function Scheduler:wait()
    self.current.waiting = true
    return self.current
end

function Scheduler:release(identity)
    local task = self.table[identity]
    if task == nil then return nil end
    task.holding = false
    if task.priority > self.current.priority then return task end
    return self.current
end

function Scheduler:send(packet)
    local task = self.table[packet.identity]
    if task == nil then return nil end
    self.packets = self.packets + 1
    packet.link = nil
    packet.identity = self.current_identity
    return task:receive(packet, self.current)
end

for _ = 1, tonumber(arg[1] or 1) do
    local right = true
    local packets = 0
    for _ = 1, 3 do
        local scheduler = Scheduler.new()
        right = scheduler:run() and right
        packets = scheduler.packets
    end
    print("Richards " .. packets .. " " .. tostring(right))
end
