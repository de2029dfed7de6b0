// Maps and sets: what they have not, and names that the library has.

class Set {
    x: i32 = 1;
}

function hashOfFloat(): void {}

export function main(): void {
    const map = new Map<string, i32>();
    map.put("a", 1);
    map.get(5);
    for (const x of map) console.log(x);
    map["a"] = 1;
    const listed = new Map([1]);
    const one = new Map<string>();
    map.size = 3;
    console.log(map);
    const wide: Map<string, i64> = map;
    map.used = 7;
}
