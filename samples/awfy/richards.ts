// Are We Fast Yet: Richards. A small operating system: tasks of four kinds send each other packets, by priority.

const IDLER = 0;
const WORKER = 1;
const HANDLER_A = 2;
const HANDLER_B = 3;
const DEVICE_A = 4;
const DEVICE_B = 5;

enum Kind {
    Device,
    Work,
}

const DATA_SIZE = 4;

class Packet {
    datum: i32 = 0;
    data: i32[];

    constructor(
        public link: Packet | null,
        public identity: i32,
        readonly kind: Kind,
    ) {
        this.data = new Array<i32>(DATA_SIZE);
    }
}

function append(packet: Packet, queue: Packet | null): Packet {
    packet.link = null;
    if (queue === null) return packet;
    let last = queue;
    let next = last.link;
    while (next !== null) {
        last = next;
        next = last.link;
    }
    last.link = packet;
    return queue;
}

class State {
    packetPending = false;
    waiting = false;
    holding = false;

    become(packetPending: boolean, waiting: boolean): void {
        this.packetPending = packetPending;
        this.waiting = waiting;
        this.holding = false;
    }
}

class Task extends State {
    constructor(
        readonly link: Task | null,
        readonly identity: i32,
        readonly priority: i32,
        private input: Packet | null,
        private step: (message: Packet | null) => Task | null,
    ) {
        super();
    }

    stands(): boolean {
        return this.holding || (!this.packetPending && this.waiting);
    }

    run(): Task | null {
        const message = this.packetPending && this.waiting && !this.holding ? this.input : null;
        if (message !== null) {
            this.input = message.link;
            this.become(message.link !== null, false);
        }
        return this.step(message);
    }

    // Takes a packet; the task that goes on.
    receive(packet: Packet, running: Task): Task {
        if (this.input === null) {
            this.input = packet;
            this.packetPending = true;
            return this.priority > running.priority ? this : running;
        }
        append(packet, this.input);
        return running;
    }
}

class IdleData {
    control: i32 = 1;
    count: i32 = 10000;
}

class WorkerData {
    destination: i32 = HANDLER_A;
    count: i32 = 0;
}

class HandlerData {
    work: Packet | null = null;
    device: Packet | null = null;
}

class DeviceData {
    pending: Packet | null = null;
}

class Scheduler {
    private list: Task | null = null;
    private current: Task | null = null;
    private currentIdentity: i32 = 0;
    private table: (Task | null)[];
    packets: i32 = 0;
    holds: i32 = 0;

    constructor() {
        this.table = new Array<Task | null>(6);
    }

    run(): boolean {
        this.createIdler();
        const work = new Packet(null, WORKER, Kind.Work);
        this.createWorker(new Packet(work, WORKER, Kind.Work));
        this.createHandler(HANDLER_A, 2000, this.three(DEVICE_A));
        this.createHandler(HANDLER_B, 3000, this.three(DEVICE_B));
        this.createDevice(DEVICE_A, 4000);
        this.createDevice(DEVICE_B, 5000);
        this.schedule();
        return this.packets === 23246 && this.holds === 9297;
    }

    private three(device: i32): Packet {
        const first = new Packet(null, device, Kind.Device);
        return new Packet(new Packet(first, device, Kind.Device), device, Kind.Device);
    }

    private schedule(): void {
        this.current = this.list;
        let task = this.current;
        while (task !== null) {
            if (task.stands()) {
                task = task.link;
            } else {
                this.currentIdentity = task.identity;
                this.current = task;
                task = task.run();
            }
        }
    }

    private create(
        identity: i32,
        priority: i32,
        work: Packet | null,
        waits: boolean,
        step: (message: Packet | null) => Task | null,
    ): void {
        const task = new Task(this.list, identity, priority, work, step);
        task.become(work !== null, waits);
        this.list = task;
        this.table[identity] = task;
    }

    private createIdler(): void {
        const data = new IdleData();
        this.create(IDLER, 0, null, false, (message) => {
            data.count--;
            if (data.count === 0) return this.hold();
            if ((data.control & 1) === 0) {
                data.control = data.control >> 1;
                return this.release(DEVICE_A);
            }
            data.control = (data.control >> 1) ^ 53256;
            return this.release(DEVICE_B);
        });
    }

    private createWorker(work: Packet): void {
        const data = new WorkerData();
        this.create(WORKER, 1000, work, true, (message) => {
            if (message === null) return this.wait();
            data.destination = data.destination === HANDLER_A ? HANDLER_B : HANDLER_A;
            message.identity = data.destination;
            message.datum = 0;
            for (let i = 0; i < DATA_SIZE; i++) {
                data.count++;
                if (data.count > 26) data.count = 1;
                message.data[i] = 65 + data.count - 1;
            }
            return this.send(message);
        });
    }

    private createHandler(identity: i32, priority: i32, work: Packet): void {
        const data = new HandlerData();
        this.create(identity, priority, work, true, (message) => {
            if (message !== null) {
                if (message.kind === Kind.Work) data.work = append(message, data.work);
                else data.device = append(message, data.device);
            }
            const work = data.work;
            if (work === null) return this.wait();
            const count = work.datum;
            if (count >= DATA_SIZE) {
                data.work = work.link;
                return this.send(work);
            }
            const device = data.device;
            if (device === null) return this.wait();
            data.device = device.link;
            device.datum = work.data[count];
            work.datum = count + 1;
            return this.send(device);
        });
    }

    private createDevice(identity: i32, priority: i32): void {
        const data = new DeviceData();
        this.create(identity, priority, null, true, (message) => {
            if (message !== null) {
                data.pending = message;
                return this.hold();
            }
            const pending = data.pending;
            if (pending === null) return this.wait();
            data.pending = null;
            return this.send(pending);
        });
    }

    private running(): Task {
        return this.current!;
    }

    private hold(): Task | null {
        this.holds++;
        const task = this.running();
        task.holding = true;
        return task.link;
    }

    private wait(): Task {
        const task = this.running();
        task.waiting = true;
        return task;
    }

    private release(identity: i32): Task | null {
        const task = this.table[identity];
        if (task === null) return null;
        task.holding = false;
        const running = this.running();
        return task.priority > running.priority ? task : running;
    }

    private send(packet: Packet): Task | null {
        const task = this.table[packet.identity];
        if (task === null) return null;
        this.packets++;
        packet.link = null;
        packet.identity = this.currentIdentity;
        return task.receive(packet, this.running());
    }
}

export function main(): void {
    let right = true;
    let packets = 0;
    for (let i = 0; i < 3; i++) {
        const scheduler = new Scheduler();
        right = scheduler.run() && right;
        packets = scheduler.packets;
    }
    console.log(`Richards ${packets} ${right}`);
}
