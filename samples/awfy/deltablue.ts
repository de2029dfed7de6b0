// Are We Fast Yet: DeltaBlue. A solver of constraints that goes on from its last solution: a chain of equal values, and points projected.

// What is smaller is stronger.
class Strength {
    constructor(private readonly weight: i32) {}

    stronger(other: Strength): boolean {
        return this.weight < other.weight;
    }

    weaker(other: Strength): boolean {
        return this.weight > other.weight;
    }

    weakest(other: Strength): Strength {
        return other.weaker(this) ? other : this;
    }
}

const REQUIRED: Strength = new Strength(-800);
const PREFERRED: Strength = new Strength(-400);
const STRONG_DEFAULT: Strength = new Strength(-200);
const DEFAULT: Strength = new Strength(0);
const WEAKEST: Strength = new Strength(10000);

// A list that gives up its first element without moving the others.
class Queue<T> {
    private readonly items: T[] = [];
    private first: i32 = 0;

    push(item: T): void {
        this.items.push(item);
    }

    isEmpty(): boolean {
        return this.first === this.items.length;
    }

    removeFirst(): T {
        const item = this.items[this.first];
        this.first++;
        return item;
    }
}

class Variable {
    constraints: Constraint[] = [];
    determinedBy: Constraint | null = null;
    walkStrength: Strength = WEAKEST;
    stay = true;
    mark: i32 = 0;

    constructor(public value: i32) {}

    addConstraint(constraint: Constraint): void {
        this.constraints.push(constraint);
    }

    removeConstraint(constraint: Constraint): void {
        const kept: Constraint[] = [];
        for (const other of this.constraints) if (other !== constraint) kept.push(other);
        this.constraints = kept;
        if (this.determinedBy === constraint) this.determinedBy = null;
    }
}

abstract class Constraint {
    constructor(readonly strength: Strength) {}

    abstract isSatisfied(): boolean;
    abstract addToGraph(): void;
    abstract removeFromGraph(): void;
    abstract chooseMethod(mark: i32): void;
    abstract execute(): void;
    abstract inputsDo(action: (input: Variable) => void): void;
    abstract inputsHaveOne(test: (input: Variable) => boolean): boolean;
    abstract markUnsatisfied(): void;
    abstract output(): Variable;
    abstract recalculate(): void;

    isInput(): boolean {
        return false;
    }

    add(planner: Planner): void {
        this.addToGraph();
        planner.incrementalAdd(this);
    }

    destroy(planner: Planner): void {
        if (this.isSatisfied()) planner.incrementalRemove(this);
        this.removeFromGraph();
    }

    inputsKnown(mark: i32): boolean {
        return !this.inputsHaveOne((input) => !(input.mark === mark || input.stay || input.determinedBy === null));
    }

    // The constraint that this one overrides.
    satisfy(mark: i32, planner: Planner): Constraint | null {
        this.chooseMethod(mark);
        if (!this.isSatisfied()) {
            if (this.strength === REQUIRED) throw new Error("a required constraint cannot be satisfied");
            return null;
        }
        this.inputsDo((input) => {
            input.mark = mark;
        });
        const out = this.output();
        const overridden = out.determinedBy;
        if (overridden !== null) overridden.markUnsatisfied();
        out.determinedBy = this;
        if (!planner.addPropagate(this, mark)) throw new Error("constraints in a circle");
        out.mark = mark;
        return overridden;
    }
}

enum Direction {
    None,
    Forward,
    Backward,
}

abstract class BinaryConstraint extends Constraint {
    protected direction: Direction = Direction.None;

    constructor(protected readonly first: Variable, protected readonly second: Variable, strength: Strength) {
        super(strength);
    }

    isSatisfied(): boolean {
        return this.direction !== Direction.None;
    }

    addToGraph(): void {
        this.first.addConstraint(this);
        this.second.addConstraint(this);
        this.direction = Direction.None;
    }

    removeFromGraph(): void {
        this.first.removeConstraint(this);
        this.second.removeConstraint(this);
        this.direction = Direction.None;
    }

    chooseMethod(mark: i32): void {
        const first = this.first;
        const second = this.second;
        if (first.mark === mark) {
            this.direction =
                second.mark !== mark && this.strength.stronger(second.walkStrength)
                    ? Direction.Forward
                    : Direction.None;
        } else if (second.mark === mark) {
            this.direction = this.strength.stronger(first.walkStrength) ? Direction.Backward : Direction.None;
        } else if (first.walkStrength.weaker(second.walkStrength)) {
            this.direction = this.strength.stronger(first.walkStrength) ? Direction.Backward : Direction.None;
        } else {
            this.direction = this.strength.stronger(second.walkStrength) ? Direction.Forward : Direction.None;
        }
    }

    inputsDo(action: (input: Variable) => void): void {
        action(this.input());
    }

    inputsHaveOne(test: (input: Variable) => boolean): boolean {
        return test(this.input());
    }

    markUnsatisfied(): void {
        this.direction = Direction.None;
    }

    input(): Variable {
        return this.direction === Direction.Forward ? this.first : this.second;
    }

    output(): Variable {
        return this.direction === Direction.Forward ? this.second : this.first;
    }

    recalculate(): void {
        const from = this.input();
        const to = this.output();
        to.walkStrength = this.strength.weakest(from.walkStrength);
        to.stay = from.stay;
        if (to.stay) this.execute();
    }
}

class EqualityConstraint extends BinaryConstraint {
    constructor(first: Variable, second: Variable, strength: Strength, planner: Planner) {
        super(first, second, strength);
        this.add(planner);
    }

    execute(): void {
        this.output().value = this.input().value;
    }
}

// The second is the first, scaled and moved.
class ScaleConstraint extends BinaryConstraint {
    constructor(
        from: Variable,
        private readonly scale: Variable,
        private readonly offset: Variable,
        to: Variable,
        strength: Strength,
        planner: Planner,
    ) {
        super(from, to, strength);
        this.add(planner);
    }

    addToGraph(): void {
        super.addToGraph();
        this.scale.addConstraint(this);
        this.offset.addConstraint(this);
    }

    removeFromGraph(): void {
        super.removeFromGraph();
        this.scale.removeConstraint(this);
        this.offset.removeConstraint(this);
    }

    execute(): void {
        if (this.direction === Direction.Forward) {
            this.second.value = this.first.value * this.scale.value + this.offset.value;
        } else {
            this.first.value = i32((this.second.value - this.offset.value) / this.scale.value);
        }
    }

    inputsDo(action: (input: Variable) => void): void {
        action(this.input());
        action(this.scale);
        action(this.offset);
    }

    inputsHaveOne(test: (input: Variable) => boolean): boolean {
        return test(this.input()) || test(this.scale) || test(this.offset);
    }

    recalculate(): void {
        const from = this.input();
        const to = this.output();
        to.walkStrength = this.strength.weakest(from.walkStrength);
        to.stay = from.stay && this.scale.stay && this.offset.stay;
        if (to.stay) this.execute();
    }
}

abstract class UnaryConstraint extends Constraint {
    private satisfied = false;

    constructor(private readonly variable: Variable, strength: Strength, planner: Planner) {
        super(strength);
        this.add(planner);
    }

    isSatisfied(): boolean {
        return this.satisfied;
    }

    addToGraph(): void {
        this.variable.addConstraint(this);
        this.satisfied = false;
    }

    removeFromGraph(): void {
        this.variable.removeConstraint(this);
        this.satisfied = false;
    }

    chooseMethod(mark: i32): void {
        const variable = this.variable;
        this.satisfied = variable.mark !== mark && this.strength.stronger(variable.walkStrength);
    }

    // What stays or is set from outside computes nothing.
    execute(): void {}

    inputsDo(action: (input: Variable) => void): void {}

    inputsHaveOne(test: (input: Variable) => boolean): boolean {
        return false;
    }

    markUnsatisfied(): void {
        this.satisfied = false;
    }

    output(): Variable {
        return this.variable;
    }

    recalculate(): void {
        this.variable.walkStrength = this.strength;
        this.variable.stay = !this.isInput();
        if (this.variable.stay) this.execute();
    }
}

class EditConstraint extends UnaryConstraint {
    isInput(): boolean {
        return true;
    }
}

class StayConstraint extends UnaryConstraint {}

// Constraints in the order in which they are to be executed.
class Plan {
    private readonly steps: Constraint[] = [];

    push(constraint: Constraint): void {
        this.steps.push(constraint);
    }

    execute(): void {
        for (const step of this.steps) step.execute();
    }
}

class Planner {
    private currentMark: i32 = 1;

    incrementalAdd(constraint: Constraint): void {
        const mark = this.newMark();
        let overridden = constraint.satisfy(mark, this);
        while (overridden !== null) overridden = overridden.satisfy(mark, this);
    }

    incrementalRemove(constraint: Constraint): void {
        const out = constraint.output();
        constraint.markUnsatisfied();
        constraint.removeFromGraph();
        for (const unsatisfied of this.removePropagateFrom(out)) this.incrementalAdd(unsatisfied);
    }

    extractPlan(constraints: Constraint[]): Plan {
        const sources = new Queue<Constraint>();
        for (const constraint of constraints) {
            if (constraint.isInput() && constraint.isSatisfied()) sources.push(constraint);
        }
        return this.makePlan(sources);
    }

    addPropagate(constraint: Constraint, mark: i32): boolean {
        const todo = new Queue<Constraint>();
        todo.push(constraint);
        while (!todo.isEmpty()) {
            const next = todo.removeFirst();
            if (next.output().mark === mark) {
                this.incrementalRemove(constraint);
                return false;
            }
            next.recalculate();
            this.addConsuming(next.output(), todo);
        }
        return true;
    }

    change(variable: Variable, value: i32): void {
        const edit = new EditConstraint(variable, PREFERRED, this);
        const edits: Constraint[] = [edit];
        const plan = this.extractPlan(edits);
        for (let i = 0; i < 10; i++) {
            variable.value = value;
            plan.execute();
        }
        edit.destroy(this);
    }

    private newMark(): i32 {
        this.currentMark++;
        return this.currentMark;
    }

    private makePlan(todo: Queue<Constraint>): Plan {
        const mark = this.newMark();
        const plan = new Plan();
        while (!todo.isEmpty()) {
            const constraint = todo.removeFirst();
            const out = constraint.output();
            if (out.mark !== mark && constraint.inputsKnown(mark)) {
                plan.push(constraint);
                out.mark = mark;
                this.addConsuming(out, todo);
            }
        }
        return plan;
    }

    private constraintsConsuming(variable: Variable, action: (constraint: Constraint) => void): void {
        const determining = variable.determinedBy;
        for (const constraint of variable.constraints) {
            if (constraint !== determining && constraint.isSatisfied()) action(constraint);
        }
    }

    private addConsuming(variable: Variable, todo: Queue<Constraint>): void {
        this.constraintsConsuming(variable, (constraint) => todo.push(constraint));
    }

    // What is not satisfied downstream of the variable, which nothing determines any longer: the strongest first.
    private removePropagateFrom(out: Variable): Constraint[] {
        const unsatisfied: Constraint[] = [];
        out.determinedBy = null;
        out.walkStrength = WEAKEST;
        out.stay = true;
        const todo = new Queue<Variable>();
        todo.push(out);
        while (!todo.isEmpty()) {
            const variable = todo.removeFirst();
            for (const constraint of variable.constraints) {
                if (!constraint.isSatisfied()) unsatisfied.push(constraint);
            }
            this.constraintsConsuming(variable, (constraint) => {
                constraint.recalculate();
                todo.push(constraint.output());
            });
        }
        return unsatisfied.sort((a, b) => (a.strength.stronger(b.strength) ? -1 : b.strength.stronger(a.strength) ? 1 : 0));
    }
}

// A chain of equal values: what is set at its one end has to come out at the other.
function chain(length: i32): boolean {
    const planner = new Planner();
    const variables: Variable[] = [];
    for (let i = 0; i <= length; i++) variables.push(new Variable(0));
    for (let i = 0; i < length; i++) new EqualityConstraint(variables[i], variables[i + 1], REQUIRED, planner);
    new StayConstraint(variables[length], STRONG_DEFAULT, planner);
    const edit = new EditConstraint(variables[0], PREFERRED, planner);
    const edits: Constraint[] = [edit];
    const plan = planner.extractPlan(edits);
    let right = true;
    for (let i = 0; i < 100; i++) {
        variables[0].value = i;
        plan.execute();
        if (variables[length].value !== i) right = false;
    }
    edit.destroy(planner);
    return right;
}

// Points and what they are projected to, by one scale and one offset: each of the four is changed in turn.
function projection(count: i32): boolean {
    const planner = new Planner();
    const scale = new Variable(10);
    const offset = new Variable(1000);
    const projected: Variable[] = [];
    let source = new Variable(0);
    let target = new Variable(0);
    for (let i = 0; i < count; i++) {
        source = new Variable(i);
        target = new Variable(i);
        projected.push(target);
        new StayConstraint(source, DEFAULT, planner);
        new ScaleConstraint(source, scale, offset, target, REQUIRED, planner);
    }
    planner.change(source, 17);
    let right = target.value === 1170;
    planner.change(target, 1050);
    right = right && source.value === 5;
    planner.change(scale, 5);
    for (let i = 0; i < count - 1; i++) right = right && projected[i].value === i * 5 + 1000;
    planner.change(offset, 2000);
    for (let i = 0; i < count - 1; i++) right = right && projected[i].value === i * 5 + 2000;
    return right;
}

export function main(): void {
    const size = 2000;
    const right = chain(size) && projection(size);
    console.log(`DeltaBlue ${size} ${right}`);
}
