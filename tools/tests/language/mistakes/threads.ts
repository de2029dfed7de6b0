function work(): i32 {
    return 1;
}

export function main(): void {
    const thread = new Thread();
    Thread.spawn((x: i32) => work());
    Thread.spawn(work);
    Thread.begin(() => work());
    const lock = new Mutex(1);
    lock.run((x: i32) => x);
    lock.run();
    const text: string = lock.run(() => 5);
    const nothing: i32 = lock.run(() => lock.unlock());
    const condition = new Condition();
    condition.signal();
    console.log(lock);
    console.log(`${lock.toString()}`);
    const weak = new WeakRef<i32>(5);
    const channel = new Channel<string>(2);
    channel.send(5);
    weakNew(channel);
    lock.owner = thread;
    if (thread.join() instanceof Mutex) return;
    root.get("name");
    root.get<Nothing>("name");
    root.get<string>(5);
    root.set("name", work);
    root.set("name", null);
    root.find("name");
    const all = root;
    const number: i32 = root.get<i64>("number");
    onRestart((x: i32) => work());
    Math.random(5);
}

class Lock extends Mutex {}
