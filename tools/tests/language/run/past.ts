// The past and the collector by their names; on this machine, which keeps no snapshots, the past is empty.

class Account {
    constructor(public owner: string, public balance: i64) {}
}

export function main(): void {
    const account = new Account("Ada", 12);
    console.log(past.before(commit()), collector.sweeps());
    try {
        const before = past.copy(account, 1);
        console.log(before.owner);
    } catch (e) {
        if (e instanceof Error) console.log(`${e}`);
    }
    collector.pause();
    collector.resume();
    collector.start();
    collector.stop();
    shadowed();
}

// A name is the program's if it takes it.
function shadowed(): void {
    const past = new Account("Grace", 7);
    const collector = past;
    const text = () => `${past.owner} ${collector.balance}`;
    console.log(past.owner, collector.balance, text());
}
