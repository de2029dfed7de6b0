-- Are We Fast Yet: NBody. The sun and the four large planets, and the energy of them all.
-- The same program as nbody.ts; its argument is how often it runs.
local DAYS = 365.24

local Body = {}
Body.__index = Body

function Body.new(x, y, z, vx, vy, vz, mass)
    return setmetatable({ x = x, y = y, z = z, vx = vx, vy = vy, vz = vz, mass = mass }, Body)
end

local function solar_mass()
    return 4 * math.pi * math.pi
end

local function body(x, y, z, vx, vy, vz, mass)
    return Body.new(x, y, z, vx * DAYS, vy * DAYS, vz * DAYS, mass * solar_mass())
end

local function planets()
    return {
        body(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        body(4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
            1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05, 9.54791938424326609e-04),
        body(8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
            -2.76742510726862411e-03, 4.99852801234917238e-03, 2.30417297573763929e-05, 2.85885980666130812e-04),
        body(1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
            2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05, 4.36624404335156298e-05),
        body(1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
            2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05, 5.15138902046611451e-05),
    }
end

local System = {}
System.__index = System

function System.new()
    local system = setmetatable({ bodies = planets() }, System)
    local px, py, pz = 0.0, 0.0, 0.0
    for _, one in ipairs(system.bodies) do
        px = px + one.vx * one.mass
        py = py + one.vy * one.mass
        pz = pz + one.vz * one.mass
    end
    local sun = system.bodies[1]
    sun.vx = 0 - px / solar_mass()
    sun.vy = 0 - py / solar_mass()
    sun.vz = 0 - pz / solar_mass()
    return system
end

function System:advance(dt)
    local bodies = self.bodies
    local count = #bodies
    for i = 1, count do
        local a = bodies[i]
        for j = i + 1, count do
            local b = bodies[j]
            local dx = a.x - b.x
            local dy = a.y - b.y
            local dz = a.z - b.z
            local squared = dx * dx + dy * dy + dz * dz
            local magnitude = dt / (squared * math.sqrt(squared))
            a.vx = a.vx - dx * b.mass * magnitude
            a.vy = a.vy - dy * b.mass * magnitude
            a.vz = a.vz - dz * b.mass * magnitude
            b.vx = b.vx + dx * a.mass * magnitude
            b.vy = b.vy + dy * a.mass * magnitude
            b.vz = b.vz + dz * a.mass * magnitude
        end
    end
    for _, one in ipairs(bodies) do
        one.x = one.x + dt * one.vx
        one.y = one.y + dt * one.vy
        one.z = one.z + dt * one.vz
    end
end

function System:energy()
    local bodies = self.bodies
    local count = #bodies
    local e = 0.0
    for i = 1, count do
        local a = bodies[i]
        e = e + 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz)
        for j = i + 1, count do
            local b = bodies[j]
            local dx = a.x - b.x
            local dy = a.y - b.y
            local dz = a.z - b.z
            e = e - (a.mass * b.mass) / math.sqrt(dx * dx + dy * dy + dz * dz)
        end
    end
    return e
end

for _ = 1, tonumber(arg[1] or 1) do
    local system = System.new()
    system:advance(0.01)
    local first = system:energy()
    for _ = 2, 250000 do system:advance(0.01) end
    local last = system:energy()
    local right = first == -0.16907495402506745 and last == -0.1690859889909308
    print("NBody " .. last .. " " .. tostring(right))
end
