// A bulletin board at the console (make run PROGRAM=samples/board.ts). It saves nothing and loads nothing: posts are objects, and the loop
// that reads lines has been running since the disk was made. Pull the plug whenever you like.
//
//   post NAME TEXT       pins a post to the board
//   reply N NAME TEXT    answers post N
//   read                 all posts with their answers
//   remove N             takes post N off
//   quit                 ends the program

class Post {
    readonly replies: Post[] = [];

    constructor(
        readonly author: string,
        readonly text: string,
    ) {}

    show(indent: string): string {
        const answers = this.replies.map((reply) => reply.show(`${indent}      `));
        return `${this.author}: ${this.text}\n${answers.map((answer) => `${indent}    > ${answer}`).join("")}`;
    }
}

class Board {
    private readonly posts: Map<i64, Post> = new Map<i64, Post>();
    private next: i64 = 1;

    add(post: Post): i64 {
        this.posts.set(this.next, post);
        return this.next++;
    }

    find(number: i64): Post {
        if (!this.posts.has(number)) throw new InvalidArgumentException(`there is no post ${number}`);
        return this.posts.get(number);
    }

    remove(number: i64): void {
        if (!this.posts.delete(number)) throw new InvalidArgumentException(`there is no post ${number}`);
    }

    show(): string {
        let text = "";
        this.posts.forEach((post, number) => {
            text += `${number}  ${post.show("")}`;
        });
        return text === "" ? "the board is empty\n" : text;
    }
}

// The first words of a line, and the rest as the last.
function words(line: string, count: i32): string[] {
    const found: string[] = [];
    let rest = line;
    while (found.length < count - 1) {
        const end = rest.indexOf(" ", 0);
        if (end < 0) throw new InvalidArgumentException("post, reply, read, remove or quit");
        found.push(rest.slice(0, end));
        rest = rest.slice(end + 1, rest.length);
    }
    found.push(rest);
    return found;
}

function numberOf(text: string): i64 {
    try {
        return parseInteger(text);
    } catch (e) {
        throw new InvalidArgumentException(`${text} is no number`);
    }
}

// Does what a line says; the answer.
function answer(board: Board, line: string): string {
    if (line === "read") return board.show();
    const parts = words(line, 2);
    if (parts[0] === "post") {
        const said = words(line, 3);
        return `post ${board.add(new Post(said[1], said[2]))}\n`;
    }
    if (parts[0] === "reply") {
        const said = words(line, 4);
        board.find(numberOf(said[1])).replies.push(new Post(said[2], said[3]));
        return "answered\n";
    }
    if (parts[0] === "remove") {
        board.remove(numberOf(parts[1]));
        return "removed\n";
    }
    throw new InvalidArgumentException("post, reply, read, remove or quit");
}

export function main(): void {
    const board = new Board();
    root.set("board", board);
    onRestart(() => {
        board.add(new Post("board", `the power was away; this is start ${restarts()}`));
    });
    console.log("board: post NAME TEXT, reply N NAME TEXT, read, remove N, quit");
    while (true) {
        const line = console.readLine();
        if (line === "quit") return;
        if (line === "") continue;
        try {
            console.print(answer(board, line));
        } catch (e) {
            if (!(e instanceof InvalidArgumentException)) throw e;
            console.log(`not understood: ${e.message}`);
        }
    }
}
