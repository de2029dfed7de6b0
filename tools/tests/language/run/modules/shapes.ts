// Classes that another file extends.

import { nameOf } from "./names";

export interface Named {
    name(): string;
}

export abstract class Shape implements Named {
    abstract area(): f64;
    name(): string {
        return "shape";
    }
    toString(): string {
        return nameOf(this);
    }
}

export class Square extends Shape {
    constructor(private edge: f64) {
        super();
    }
    area(): f64 {
        return this.edge ** 2;
    }
}

export class Circle extends Shape {
    constructor(protected radius: f64) {
        super();
    }
    area(): f64 {
        return Unit.factor * this.radius ** 2;
    }
    name(): string {
        return "circle";
    }
}

// Not exported: another file may have one, too.
class Unit {
    static factor: f64 = 4.0;
}

export function total(shapes: Shape[]): f64 {
    return shapes.reduce((sum, shape) => sum + shape.area(), 0.0);
}
