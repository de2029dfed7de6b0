-- Are We Fast Yet: Bounce. A hundred balls in a box for fifty steps; how often one of them meets a wall.
-- The same program as bounce.ts; its argument is how often it runs.
local Random = {}
Random.__index = Random

function Random.new()
    return setmetatable({ seed = 74755 }, Random)
end

function Random:next()
    self.seed = (self.seed * 1309 + 13849) & 65535
    return self.seed
end

local Ball = {}
Ball.__index = Ball

function Ball.new(random)
    local ball = setmetatable({}, Ball)
    ball.x = random:next() % 500
    ball.y = random:next() % 500
    ball.x_speed = (random:next() % 300) - 150
    ball.y_speed = (random:next() % 300) - 150
    return ball
end

local function magnitude(x)
    if x < 0 then return -x end
    return x
end

function Ball:bounce()
    local limit = 500
    local met = false
    self.x = self.x + self.x_speed
    self.y = self.y + self.y_speed
    if self.x > limit then
        self.x = limit
        self.x_speed = 0 - magnitude(self.x_speed)
        met = true
    end
    if self.x < 0 then
        self.x = 0
        self.x_speed = magnitude(self.x_speed)
        met = true
    end
    if self.y > limit then
        self.y = limit
        self.y_speed = 0 - magnitude(self.y_speed)
        met = true
    end
    if self.y < 0 then
        self.y = 0
        self.y_speed = magnitude(self.y_speed)
        met = true
    end
    return met
end

local function bounce()
    local random = Random.new()
    local balls = {}
    for i = 1, 100 do balls[i] = Ball.new(random) end
    local bounces = 0
    for _ = 1, 50 do
        for _, ball in ipairs(balls) do
            if ball:bounce() then bounces = bounces + 1 end
        end
    end
    return bounces
end

for _ = 1, tonumber(arg[1] or 1) do
    local result = 0
    for _ = 1, 20 do result = bounce() end
    print("Bounce " .. result .. " " .. tostring(result == 1331))
end
