// What classes refuse.

abstract class Animal {
    private readonly legs: i32;
    protected name: string;
    constructor(legs: i32) {
        this.legs = legs;
        if (legs > 2) this.name = "beast";
    }
    abstract speak(): string;
    static count = 0;
}
class Dog extends Animal {
    constructor() {
        console.log("too early");
    }
    speak(): string {
        this.legs = 3;
        return this.nam + this;
    }
}
class Cat extends Animal {
    speak(times: i32): string {
        return super.purr() + super.speak();
    }
}
class Fish extends Animal {}
class Circle extends Circle {}
class Nothing {
    x;
    x: i32 = 1;
    y!: i32;
    z?: string;
    [key: string]: i32;
    later<T>(value: T): void {}
    get wrong(): void {}
}
class Nothing {}
class Below extends Missing {}
enum Level { Low, Low = "x" }

export function main(): void {
    const animal = new Animal(2);
    const dog: Dog = new Cat(4);
    dog.name = "Rex";
    console.log(dog.legs, dog.tail, Dog.count, Animal.kind, Level.High);
    const other: Cat = dog;
    const level: Level = 1;
    new Cat();
    Cat();
    dog.bark();
    this.speak();
    if (dog instanceof i32) return;
    if (dog) return;
    const made = { x: 1 };
    const cast = dog as Cat;
    console.log(dog);
}
