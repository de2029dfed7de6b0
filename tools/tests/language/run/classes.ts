// Classes: fields, constructors, methods, accessors, statics, one class above, narrowing by class.

abstract class Shape {
    static made: i32 = 0;
    protected readonly name: string;
    constructor(name: string) {
        this.name = name;
        Shape.made++;
    }
    abstract area(): f64;
    describe(): string {
        return `${this.name} of ${this.area()}`;
    }
    get label(): string {
        return "<" + this.name + ">";
    }
}

class Square extends Shape {
    private side: f64;
    constructor(side: f64) {
        super("square");
        this.side = side;
    }
    area(): f64 {
        return this.side * this.side;
    }
    get length(): f64 {
        return this.side;
    }
    set length(side: f64) {
        this.side = side;
    }
    static unit(): Square {
        return new Square(1);
    }
}

class Circle extends Shape {
    constructor(public radius: f64) {
        super("circle");
    }
    area(): f64 {
        return 3 * this.radius ** 2;
    }
    describe(): string {
        return "round " + super.describe();
    }
    toString(): string {
        return `(${this.radius})`;
    }
}

class Loud extends Circle {
    volume: i32 = 11;
    twice(): i32 {
        return this.volume * 2;
    }
}

class Counter {
    private count = 0;
    step(): i32 {
        this.count += 2;
        return this.count++;
    }
    chained(): Counter {
        this.count *= 10;
        return this;
    }
}

let last: Shape = Square.unit();

function kind(shape: Shape): string {
    if (shape instanceof Loud) return `loud ${shape.twice()}`;
    if (!(shape instanceof Circle)) return "straight";
    return `circle ${shape.radius}`;
}

export function main(): void {
    const shapes: Shape[] = [new Square(2), new Circle(1.5), new Loud(2)];
    for (const shape of shapes) {
        console.log(shape.describe(), shape.label, kind(shape));
        last = shape;
    }
    console.log(Shape.made, last.area(), last === shapes[2], last === shapes[0]);
    const square = new Square(3);
    square.length += 1;
    console.log(square.length, square.area(), `${new Circle(7)}`);
    const counter = new Counter();
    console.log(counter.step(), counter.step(), counter.chained().chained().step());
}
