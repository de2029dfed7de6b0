// Are We Fast Yet: Bounce. A hundred balls in a box for fifty steps; how often one of them meets a wall.

class Random {
    private seed: i32 = 74755;

    next(): i32 {
        this.seed = (this.seed * 1309 + 13849) & 65535;
        return this.seed;
    }
}

class Ball {
    private x: i32;
    private y: i32;
    private xSpeed: i32;
    private ySpeed: i32;

    constructor(random: Random) {
        this.x = random.next() % 500;
        this.y = random.next() % 500;
        this.xSpeed = (random.next() % 300) - 150;
        this.ySpeed = (random.next() % 300) - 150;
    }

    bounce(): bool {
        const limit = 500;
        let met = false;
        this.x += this.xSpeed;
        this.y += this.ySpeed;
        if (this.x > limit) {
            this.x = limit;
            this.xSpeed = 0 - magnitude(this.xSpeed);
            met = true;
        }
        if (this.x < 0) {
            this.x = 0;
            this.xSpeed = magnitude(this.xSpeed);
            met = true;
        }
        if (this.y > limit) {
            this.y = limit;
            this.ySpeed = 0 - magnitude(this.ySpeed);
            met = true;
        }
        if (this.y < 0) {
            this.y = 0;
            this.ySpeed = magnitude(this.ySpeed);
            met = true;
        }
        return met;
    }
}

function magnitude(x: i32): i32 {
    return x < 0 ? -x : x;
}

function bounce(): i32 {
    const random = new Random();
    const balls: Ball[] = [];
    for (let i = 0; i < 100; i++) balls.push(new Ball(random));
    let bounces = 0;
    for (let i = 0; i < 50; i++) {
        for (const ball of balls) {
            if (ball.bounce()) bounces++;
        }
    }
    return bounces;
}

export function main(): void {
    let result = 0;
    for (let i = 0; i < 20; i++) result = bounce();
    console.log(`Bounce ${result} ${result === 1331}`);
}
