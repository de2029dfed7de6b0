// Maps and sets: order, removal, growth, keys of every kind; a long run against the same in arrays.

enum Color {
    Red,
    Green,
}

class Place {
    constructor(readonly x: i32) {}
}

// A map as it is meant to be, slowly.
class Plain {
    keys: i64[] = [];
    values: i32[] = [];

    set(key: i64, value: i32): void {
        const place = this.keys.indexOf(key);
        if (place >= 0) {
            this.values[place] = value;
            return;
        }
        this.keys.push(key);
        this.values.push(value);
    }

    delete(key: i64): boolean {
        const place = this.keys.indexOf(key);
        if (place < 0) return false;
        this.keys.remove(place);
        this.values.remove(place);
        return true;
    }
}

function same(map: Map<i64, i32>, plain: Plain): boolean {
    return map.keys().join(",") === plain.keys.join(",") && map.values().join(",") === plain.values.join(",");
}

// The keys are so far apart, so that some lie over each other in the map's table.
function longRun(distance: i64): string {
    const map = new Map<i64, i32>();
    const plain = new Plain();
    let seed = 12345;
    for (let i = 0; i < 3000; i++) {
        seed = (seed * 1309 + 13849) & 65535;
        const key = i64(seed % 97) * distance;
        if ((seed >> 7) % 3 === 0) {
            if (map.delete(key) !== plain.delete(key)) return `deleting ${key} at ${i}`;
        } else {
            map.set(key, i);
            plain.set(key, i);
        }
        if (map.has(key) !== plain.keys.includes(key)) return `asking for ${key} at ${i}`;
        if (i % 50 === 0 && !same(map, plain)) return `all at ${i}`;
        if (i === 2000) {
            map.clear();
            plain.keys.clear();
            plain.values.clear();
        }
    }
    return same(map, plain) && map.size === plain.keys.length ? "the same" : "at the end";
}

export function main(): void {
    const ages = new Map<string, i32>();
    ages.set("ann", 31);
    ages.set("bob", 25);
    ages.set("cy", 40);
    ages.set("bob", 26);
    console.log(ages.size, ages.get("bob"), ages.has("dan"), ages.getOr("dan", -1));
    console.log(ages.delete("ann"), ages.delete("ann"), ages.keys().join(" "), ages.values().join(" "));
    ages.set("ann", 32);
    ages.forEach((age, name) => {
        if (age > 30) ages.delete(name);
        console.log(name, age);
    });
    console.log(ages.keys().join(" "));
    try {
        ages.get("nobody");
    } catch (e) {
        if (e instanceof IndexOutOfBoundsException) console.log("nobody");
    }
    const here = new Place(1);
    const names = new Map<Place, string>();
    names.set(here, "here");
    names.set(new Place(1), "there");
    console.log(names.size, names.get(here), names.has(new Place(1)));
    const colors = new Map<Color, Place | null>();
    colors.set(Color.Green, here);
    colors.set(Color.Red, null);
    console.log(colors.get(Color.Green)?.x ?? 0, colors.getOr(Color.Red, here)?.x ?? 0);
    const flags = new Map<boolean, f64>();
    flags.set(true, 1.5);
    console.log(flags.getOr(true, 0), flags.getOr(false, 0));
    const halves = new Map<f64, i32>();
    for (let i = 0; i < 100; i++) halves.set(f64(i) / 8, i);
    console.log(halves.get(0.125), halves.get(-0.0), halves.get(12), halves.size);
    const many = new Map<i32, i32>();
    for (let i = 0; i < 100000; i++) many.set(i * 1024, i);
    let sum: i64 = 0;
    for (const value of many.values()) sum += value;
    console.log(many.size, sum, many.get(1024 * 777), many.has(1));
    const seen = new Set<string>();
    for (const word of ["a", "b", "a", "c", "b"]) if (!seen.add(word)) console.log("again", word);
    console.log(seen.size, seen.values().join(""), seen.has("c"), seen.delete("c"), seen.has("c"));
    seen.forEach((word) => console.log(word));
    console.log(longRun(1), longRun(-3), longRun(1024), longRun(4294967296), longRun(1099511627776));
}
