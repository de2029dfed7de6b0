// Are We Fast Yet: NBody. The sun and the four large planets, and the energy of them all.

const DAYS: f64 = 365.24;

class Body {
    constructor(
        public x: f64, public y: f64, public z: f64,
        public vx: f64, public vy: f64, public vz: f64,
        readonly mass: f64,
    ) {}
}

function solarMass(): f64 {
    return 4 * Math.PI * Math.PI;
}

function body(x: f64, y: f64, z: f64, vx: f64, vy: f64, vz: f64, mass: f64): Body {
    return new Body(x, y, z, vx * DAYS, vy * DAYS, vz * DAYS, mass * solarMass());
}

function planets(): Body[] {
    return [
        body(0, 0, 0, 0, 0, 0, 1),
        body(4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
            1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05, 9.54791938424326609e-04),
        body(8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
            -2.76742510726862411e-03, 4.99852801234917238e-03, 2.30417297573763929e-05, 2.85885980666130812e-04),
        body(1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
            2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05, 4.36624404335156298e-05),
        body(1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
            2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05, 5.15138902046611451e-05),
    ];
}

class System {
    private readonly bodies: Body[] = planets();

    constructor() {
        let px: f64 = 0;
        let py: f64 = 0;
        let pz: f64 = 0;
        for (const body of this.bodies) {
            px += body.vx * body.mass;
            py += body.vy * body.mass;
            pz += body.vz * body.mass;
        }
        const sun = this.bodies[0];
        sun.vx = 0 - px / solarMass();
        sun.vy = 0 - py / solarMass();
        sun.vz = 0 - pz / solarMass();
    }

    advance(dt: f64): void {
        const count = this.bodies.length;
        for (let i = 0; i < count; i++) {
            const a = this.bodies[i];
            for (let j = i + 1; j < count; j++) {
                const b = this.bodies[j];
                const dx = a.x - b.x;
                const dy = a.y - b.y;
                const dz = a.z - b.z;
                const squared = dx * dx + dy * dy + dz * dz;
                const magnitude = dt / (squared * Math.sqrt(squared));
                a.vx -= dx * b.mass * magnitude;
                a.vy -= dy * b.mass * magnitude;
                a.vz -= dz * b.mass * magnitude;
                b.vx += dx * a.mass * magnitude;
                b.vy += dy * a.mass * magnitude;
                b.vz += dz * a.mass * magnitude;
            }
        }
        for (const body of this.bodies) {
            body.x += dt * body.vx;
            body.y += dt * body.vy;
            body.z += dt * body.vz;
        }
    }

    energy(): f64 {
        let e: f64 = 0;
        const count = this.bodies.length;
        for (let i = 0; i < count; i++) {
            const a = this.bodies[i];
            e += 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz);
            for (let j = i + 1; j < count; j++) {
                const b = this.bodies[j];
                const dx = a.x - b.x;
                const dy = a.y - b.y;
                const dz = a.z - b.z;
                e -= (a.mass * b.mass) / Math.sqrt(dx * dx + dy * dy + dz * dz);
            }
        }
        return e;
    }
}

export function main(): void {
    const system = new System();
    system.advance(0.01);
    const first = system.energy();
    for (let i = 1; i < 250_000; i++) system.advance(0.01);
    const last = system.energy();
    console.log(`NBody ${last} ${first === -0.16907495402506745 && last === -0.1690859889909308}`);
}
