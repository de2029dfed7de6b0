// Are We Fast Yet: CD, CollisionDetector. Finds where aircraft come too near each other, from where a radar sees them in each frame.

const MIN_X = 0.0;
const MIN_Y = 0.0;
const MAX_X = 1000.0;
const MAX_Y = 1000.0;
const MIN_Z = 0.0;
const MAX_Z = 10.0;
const PROXIMITY_RADIUS = 1.0;
const VOXEL_SIZE = 2.0;

function compareNumbers(a: f64, b: f64): i32 {
    return a < b ? -1 : a > b ? 1 : 0;
}

class Vector2D {
    constructor(readonly x: f64, readonly y: f64) {}

    plus(other: Vector2D): Vector2D {
        return new Vector2D(this.x + other.x, this.y + other.y);
    }

    minus(other: Vector2D): Vector2D {
        return new Vector2D(this.x - other.x, this.y - other.y);
    }

    compareTo(other: Vector2D): i32 {
        const byX = compareNumbers(this.x, other.x);
        return byX !== 0 ? byX : compareNumbers(this.y, other.y);
    }
}

class Vector3D {
    constructor(readonly x: f64, readonly y: f64, readonly z: f64) {}

    plus(other: Vector3D): Vector3D {
        return new Vector3D(this.x + other.x, this.y + other.y, this.z + other.z);
    }

    minus(other: Vector3D): Vector3D {
        return new Vector3D(this.x - other.x, this.y - other.y, this.z - other.z);
    }

    dot(other: Vector3D): f64 {
        return this.x * other.x + this.y * other.y + this.z * other.z;
    }

    squaredMagnitude(): f64 {
        return this.dot(this);
    }

    magnitude(): f64 {
        return Math.sqrt(this.squaredMagnitude());
    }

    times(amount: f64): Vector3D {
        return new Vector3D(this.x * amount, this.y * amount, this.z * amount);
    }
}

class CallSign {
    constructor(readonly value: i32) {}

    compareTo(other: CallSign): i32 {
        return this.value === other.value ? 0 : this.value < other.value ? -1 : 1;
    }
}

class TreeNode<K, V> {
    left: TreeNode<K, V> | null = null;
    right: TreeNode<K, V> | null = null;
    parent: TreeNode<K, V> | null = null;
    red = true;

    constructor(readonly key: K, public value: V) {}

    successor(): TreeNode<K, V> | null {
        const right = this.right;
        if (right !== null) return minimum(right);
        let node: TreeNode<K, V> | null = this;
        let above = this.parent;
        while (above !== null && node === above.right) {
            node = above;
            above = above.parent;
        }
        return above;
    }
}

function minimum<K, V>(node: TreeNode<K, V>): TreeNode<K, V> {
    let least = node;
    let left = least.left;
    while (left !== null) {
        least = left;
        left = least.left;
    }
    return least;
}

function isBlack<K, V>(node: TreeNode<K, V> | null): boolean {
    return node === null || !node.red;
}

class RedBlackTree<K, V> {
    private root: TreeNode<K, V> | null = null;

    constructor(private readonly compare: (a: K, b: K) => i32) {}

    // The value that the key had before.
    put(key: K, value: V): V | null {
        let above: TreeNode<K, V> | null = null;
        let at = this.root;
        let order = 0;
        while (at !== null) {
            order = this.compare(key, at.key);
            if (order === 0) {
                const before = at.value;
                at.value = value;
                return before;
            }
            above = at;
            at = order < 0 ? at.left : at.right;
        }
        const made = new TreeNode<K, V>(key, value);
        made.parent = above;
        if (above === null) this.root = made;
        else if (order < 0) above.left = made;
        else above.right = made;
        this.balanceAfterPut(made);
        return null;
    }

    get(key: K): V | null {
        const node = this.find(key);
        return node === null ? null : node.value;
    }

    forEach(action: (key: K, value: V) => void): void {
        const root = this.root;
        if (root === null) return;
        let node: TreeNode<K, V> | null = minimum(root);
        while (node !== null) {
            action(node.key, node.value);
            node = node.successor();
        }
    }

    // The value that the key had.
    remove(key: K): V | null {
        const node = this.find(key);
        if (node === null) return null;
        let taken = node;
        if (node.left !== null && node.right !== null) taken = node.successor()!;
        const below = taken.left ?? taken.right;
        const above = taken.parent;
        if (below !== null) below.parent = above;
        this.replaceBelow(above, taken, below);
        if (taken !== node) {
            if (!taken.red) this.balanceAfterRemove(below, above);
            taken.parent = node.parent;
            taken.red = node.red;
            taken.left = node.left;
            taken.right = node.right;
            if (node.left !== null) node.left.parent = taken;
            if (node.right !== null) node.right.parent = taken;
            this.replaceBelow(node.parent, node, taken);
        } else if (!taken.red) {
            this.balanceAfterRemove(below, above);
        }
        return node.value;
    }

    private find(key: K): TreeNode<K, V> | null {
        let at = this.root;
        while (at !== null) {
            const order = this.compare(key, at.key);
            if (order === 0) return at;
            at = order < 0 ? at.left : at.right;
        }
        return null;
    }

    private replaceBelow(above: TreeNode<K, V> | null, node: TreeNode<K, V>, by: TreeNode<K, V> | null): void {
        if (above === null) this.root = by;
        else if (above.left === node) above.left = by;
        else above.right = by;
    }

    private rotateLeft(node: TreeNode<K, V>): void {
        const up = node.right!;
        const moved = up.left;
        node.right = moved;
        if (moved !== null) moved.parent = node;
        const above = node.parent;
        up.parent = above;
        this.replaceBelow(above, node, up);
        up.left = node;
        node.parent = up;
    }

    private rotateRight(node: TreeNode<K, V>): void {
        const up = node.left!;
        const moved = up.right;
        node.left = moved;
        if (moved !== null) moved.parent = node;
        const above = node.parent;
        up.parent = above;
        this.replaceBelow(above, node, up);
        up.right = node;
        node.parent = up;
    }

    private balanceAfterPut(made: TreeNode<K, V>): void {
        let node = made;
        let parent = node.parent;
        while (parent !== null && parent.red) {
            const grand = parent.parent!;
            const isLeft = parent === grand.left;
            const uncle = isLeft ? grand.right : grand.left;
            if (uncle !== null && uncle.red) {
                parent.red = false;
                uncle.red = false;
                grand.red = true;
                node = grand;
            } else {
                if (node === (isLeft ? parent.right : parent.left)) {
                    node = parent;
                    if (isLeft) this.rotateLeft(node);
                    else this.rotateRight(node);
                }
                node.parent!.red = false;
                grand.red = true;
                if (isLeft) this.rotateRight(grand);
                else this.rotateLeft(grand);
            }
            parent = node.parent;
        }
        this.root!.red = false;
    }

    private balanceAfterRemove(start: TreeNode<K, V> | null, startAbove: TreeNode<K, V> | null): void {
        let node = start;
        let above = startAbove;
        while (above !== null && isBlack(node)) {
            const isLeft = node === above.left;
            let sibling = (isLeft ? above.right : above.left)!;
            if (sibling.red) {
                sibling.red = false;
                above.red = true;
                if (isLeft) this.rotateLeft(above);
                else this.rotateRight(above);
                sibling = (isLeft ? above.right : above.left)!;
            }
            if (isBlack(sibling.left) && isBlack(sibling.right)) {
                sibling.red = true;
                node = above;
                above = node.parent;
                continue;
            }
            if (isBlack(isLeft ? sibling.right : sibling.left)) {
                (isLeft ? sibling.left : sibling.right)!.red = false;
                sibling.red = true;
                if (isLeft) this.rotateRight(sibling);
                else this.rotateLeft(sibling);
                sibling = (isLeft ? above.right : above.left)!;
            }
            sibling.red = above.red;
            above.red = false;
            (isLeft ? sibling.right : sibling.left)!.red = false;
            if (isLeft) this.rotateLeft(above);
            else this.rotateRight(above);
            node = this.root;
            above = null;
        }
        if (node !== null) node.red = false;
    }
}

class Aircraft {
    constructor(readonly sign: CallSign, readonly position: Vector3D) {}
}

class Collision {
    constructor(readonly first: CallSign, readonly second: CallSign, readonly position: Vector3D) {}
}

class Motion {
    constructor(readonly sign: CallSign, readonly from: Vector3D, readonly to: Vector3D) {}

    delta(): Vector3D {
        return this.to.minus(this.from);
    }

    // Where both come too near each other, if they do.
    findIntersection(other: Motion): Vector3D | null {
        const ours = this.delta();
        const theirs = other.delta();
        const a = theirs.minus(ours).squaredMagnitude();
        if (a === 0.0) {
            // Side by side at one speed: always as far from each other as now.
            const distance = other.from.minus(this.from).magnitude();
            return distance <= PROXIMITY_RADIUS ? this.from.plus(other.from).times(0.5) : null;
        }
        const b = 2.0 * this.from.minus(other.from).dot(ours.minus(theirs));
        const c = other.from.minus(this.from).squaredMagnitude() - PROXIMITY_RADIUS * PROXIMITY_RADIUS;
        const discriminant = b * b - 4.0 * a * c;
        if (discriminant < 0.0) return null;
        const root = Math.sqrt(discriminant);
        const first = (-b - root) / (2.0 * a);
        const last = (-b + root) / (2.0 * a);
        const meets =
            (first <= 1.0 && 1.0 <= last) || (first <= 0.0 && 0.0 <= last) || (0.0 <= first && last <= 1.0);
        if (!meets) return null;
        const time = first <= 0.0 ? 0.0 : first;
        const middle = this.from.plus(ours.times(time)).plus(other.from.plus(theirs.times(time))).times(0.5);
        const inside =
            middle.x >= MIN_X &&
            middle.x <= MAX_X &&
            middle.y >= MIN_Y &&
            middle.y <= MAX_Y &&
            middle.z >= MIN_Z &&
            middle.z <= MAX_Z;
        return inside ? middle : null;
    }
}

// Whether a way that begins at `from` touches the voxel on this axis, which it enters and leaves at these parts of the way.
function touches(length: f64, from: f64, voxel: f64, low: f64, high: f64): boolean {
    const radius = PROXIMITY_RADIUS / 2.0;
    if (length === 0.0) return voxel <= from + radius && from - radius <= voxel + VOXEL_SIZE;
    return (low <= 1.0 && 1.0 <= high) || (low <= 0.0 && 0.0 <= high) || (0.0 <= low && high <= 1.0);
}

function isInVoxel(voxel: Vector2D, motion: Motion): boolean {
    if (voxel.x > MAX_X || voxel.x < MIN_X || voxel.y > MAX_Y || voxel.y < MIN_Y) return false;
    const from = motion.from;
    const radius = PROXIMITY_RADIUS / 2.0;
    const alongX = motion.to.x - from.x;
    const alongY = motion.to.y - from.y;
    let lowX = (voxel.x - radius - from.x) / alongX;
    let highX = (voxel.x + VOXEL_SIZE + radius - from.x) / alongX;
    if (alongX < 0.0) {
        const other = lowX;
        lowX = highX;
        highX = other;
    }
    let lowY = (voxel.y - radius - from.y) / alongY;
    let highY = (voxel.y + VOXEL_SIZE + radius - from.y) / alongY;
    if (alongY < 0.0) {
        const other = lowY;
        lowY = highY;
        highY = other;
    }
    if (!touches(alongX, from.x, voxel.x, lowX, highX)) return false;
    if (!touches(alongY, from.y, voxel.y, lowY, highY)) return false;
    if (alongX === 0.0 || alongY === 0.0) return true;
    return (
        (lowY <= highX && highX <= highY) || (lowY <= lowX && lowX <= highY) || (lowX <= lowY && highY <= highX)
    );
}

class CollisionDetector {
    private readonly state: RedBlackTree<CallSign, Vector3D>;
    private readonly horizontal: Vector2D = new Vector2D(VOXEL_SIZE, 0.0);
    private readonly vertical: Vector2D = new Vector2D(0.0, VOXEL_SIZE);

    constructor() {
        this.state = new RedBlackTree<CallSign, Vector3D>((a, b) => a.compareTo(b));
    }

    handle(frame: Aircraft[]): Collision[] {
        const motions: Motion[] = [];
        const seen = new RedBlackTree<CallSign, Aircraft>((a, b) => a.compareTo(b));
        for (const aircraft of frame) {
            const before = this.state.put(aircraft.sign, aircraft.position);
            seen.put(aircraft.sign, aircraft);
            // What is seen for the first time stands still.
            motions.push(new Motion(aircraft.sign, before ?? aircraft.position, aircraft.position));
        }
        const gone: CallSign[] = [];
        this.state.forEach((sign, position) => {
            if (seen.get(sign) === null) gone.push(sign);
        });
        for (const sign of gone) this.state.remove(sign);
        const collisions: Collision[] = [];
        for (const near of this.reduce(motions)) {
            for (let i = 0; i < near.length; i++) {
                const first = near[i];
                for (let j = i + 1; j < near.length; j++) {
                    const second = near[j];
                    const position = first.findIntersection(second);
                    if (position !== null) collisions.push(new Collision(first.sign, second.sign, position));
                }
            }
        }
        return collisions;
    }

    // The motions that share a voxel: only these can come near each other.
    private reduce(motions: Motion[]): Motion[][] {
        const voxels = new RedBlackTree<Vector2D, Motion[]>((a, b) => a.compareTo(b));
        for (const motion of motions) {
            const seen = new RedBlackTree<Vector2D, Motion>((a, b) => a.compareTo(b));
            this.draw(voxels, seen, this.voxelOf(motion.from), motion);
        }
        const shared: Motion[][] = [];
        voxels.forEach((voxel, inside) => {
            if (inside.length > 1) shared.push(inside);
        });
        return shared;
    }

    private draw(
        voxels: RedBlackTree<Vector2D, Motion[]>,
        seen: RedBlackTree<Vector2D, Motion>,
        voxel: Vector2D,
        motion: Motion,
    ): void {
        if (!isInVoxel(voxel, motion)) return;
        if (seen.put(voxel, motion) !== null) return;
        const inside = voxels.get(voxel);
        if (inside === null) {
            const first: Motion[] = [motion];
            voxels.put(voxel, first);
        } else {
            inside.push(motion);
        }
        const left = voxel.minus(this.horizontal);
        const right = voxel.plus(this.horizontal);
        this.draw(voxels, seen, left, motion);
        this.draw(voxels, seen, right, motion);
        this.draw(voxels, seen, voxel.minus(this.vertical), motion);
        this.draw(voxels, seen, voxel.plus(this.vertical), motion);
        this.draw(voxels, seen, left.minus(this.vertical), motion);
        this.draw(voxels, seen, left.plus(this.vertical), motion);
        this.draw(voxels, seen, right.minus(this.vertical), motion);
        this.draw(voxels, seen, right.plus(this.vertical), motion);
    }

    private voxelOf(position: Vector3D): Vector2D {
        const x = VOXEL_SIZE * f64(i32(position.x / VOXEL_SIZE));
        const y = VOXEL_SIZE * f64(i32(position.y / VOXEL_SIZE));
        return new Vector2D(position.x < 0.0 ? x - VOXEL_SIZE : x, position.y < 0.0 ? y - VOXEL_SIZE : y);
    }
}

class Simulator {
    private readonly signs: CallSign[] = [];

    constructor(aircraft: i32) {
        for (let i = 0; i < aircraft; i++) this.signs.push(new CallSign(i));
    }

    simulate(time: f64): Aircraft[] {
        const frame: Aircraft[] = [];
        for (let i = 0; i < this.signs.length; i += 2) {
            const cosine = Math.cos(time) * 2.0 + f64(i) * 3.0;
            const sine = Math.sin(time) * 2.0 + f64(i) * 3.0;
            frame.push(new Aircraft(this.signs[i], new Vector3D(time, cosine, 10.0)));
            frame.push(new Aircraft(this.signs[i + 1], new Vector3D(time, sine, 10.0)));
        }
        return frame;
    }
}

export function main(): void {
    const simulator = new Simulator(100);
    const detector = new CollisionDetector();
    let collisions = 0;
    for (let i = 0; i < 200; i++) collisions += detector.handle(simulator.simulate(f64(i) / 10.0)).length;
    console.log(`CD ${collisions} ${collisions === 4305}`);
}
