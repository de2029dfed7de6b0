// Arrays of anything, enums, loops over elements and characters.

enum Suit { Clubs, Hearts = 4, Spades }

class Card {
    constructor(readonly suit: Suit, readonly rank: i32) {}
    toString(): string {
        return `${this.suit}:${this.rank}`;
    }
}

function sum(numbers: i32[]): i64 {
    let total: i64 = 0;
    for (const n of numbers) total += n;
    return total;
}

function colour(suit: Suit): string {
    switch (suit) {
        case Suit.Clubs:
        case Suit.Spades:
            return "black";
        default:
            return "red";
    }
}

export function main(): void {
    const numbers: i32[] = [];
    for (let i = 0; i < 100; i++) numbers.push(i * i);
    console.log(numbers.length, sum(numbers), numbers[99], numbers.pop(), numbers.indexOf(81));
    const cards = [new Card(Suit.Hearts, 3), new Card(Suit.Clubs, 9)];
    cards.push(new Card(Suit.Spades, 1));
    console.log(cards.join(" "), colour(cards[0].suit), colour(cards[2].suit));
    const grid: f64[][] = [[1, 2], [3.5], []];
    grid[2].push(grid[0][1] + grid[1][0]);
    grid[2][0] += 0.5;
    console.log(grid[2][0], grid[2].length);
    const texts = ["b", "a", "c"];
    console.log(texts.reverse().join(""), texts.includes("a"), texts.indexOf("z"));
    texts.insert(1, "x");
    console.log(texts.remove(0), texts.slice(1, 3).concat(texts).join(","));
    const flags = new Array<bool>(3);
    flags[1] = true;
    console.log(flags[0], flags[1], flags.length);
    const places: (Card | null)[] = [null, cards[0]];
    console.log(places[0] === null, places[1]?.rank ?? 0);
    let seen = "";
    for (const letter of "grüß") seen = letter + seen;
    console.log(seen, i32(Suit.Spades) + 1);
    for (const n of new Int32Array(2)) console.log(n);
    numbers.clear();
    const empty = numbers[0];
    console.log(empty);
}
