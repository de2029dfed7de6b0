/* What Linux needs for the operations that Revenant measures of itself. Static, the init of an initramfs, in Debian's stock
 * kernel, in the same emulated machine. Prints lines `metric NAME VALUE UNIT` and powers off.
 *
 * Memory is in 4 KiB pages (MADV_NOHUGEPAGE) but where the name says `huge`: Revenant's unit of protection and copying is the
 * 4 KiB page, and a huge page has to be copied whole, or split, at the first write after a fork.
 *
 * usage as init: no arguments; modules to load are /modules/0.ko, 1.ko, ... in order; the disk is /dev/vda, overwritten.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, HEAP = 192 * MIB, SAMPLES = HEAP / PAGE };

static uint32_t *samples; /* ticks, one a page */
static double ns_per_tick;

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static void calibrate(void)
{
    uint64_t time = nanoseconds(), tick = ticks();
    while (nanoseconds() - time < 200000000u) {}
    ns_per_tick = (double)(nanoseconds() - time) / (double)(ticks() - tick);
}

static void fail(const char *what)
{
    printf("probe: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    reboot(RB_POWER_OFF);
    exit(1);
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Median and 99th percentile of what stands in `samples`. */
static void report(const char *name, size_t count)
{
    qsort(samples, count, sizeof *samples, compare);
    printf("metric linux_%s %.3f us\n", name, samples[count / 2] * ns_per_tick / 1000);
    printf("metric linux_%s_p99 %.3f us\n", name, samples[count * 99 / 100] * ns_per_tick / 1000);
    fflush(stdout);
}

/* Of stores that were timed one by one, the time of 1,024 in a row, each: what interrupts and the rare slow one cost is in it, as it is
   in what Revenant measures. Median and 99th percentile of those; the median of single ones beside. */
static void report_stores(const char *name, size_t count)
{
    enum { BATCH = 1024 };
    static uint32_t means[SAMPLES / BATCH];
    size_t batches = count / BATCH;
    for (size_t batch = 0; batch < batches; batch++) {
        uint64_t sum = 0;
        for (size_t sample = 0; sample < BATCH; sample++) sum += samples[batch * BATCH + sample];
        means[batch] = (uint32_t)(sum / BATCH);
    }
    qsort(samples, count, sizeof *samples, compare);
    printf("metric linux_%s_single %.3f us\n", name, samples[count / 2] * ns_per_tick / 1000);
    memcpy(samples, means, batches * sizeof *means);
    report(name, batches);
}

static void load_modules(void)
{
    char path[32];
    for (int index = 0;; index++) {
        snprintf(path, sizeof path, "/modules/%d.ko", index);
        int file = open(path, O_RDONLY);
        if (file < 0) return;
        if (syscall(SYS_finit_module, file, "", 0) < 0 && errno != EEXIST) fail(path);
        close(file);
    }
}

static unsigned char *map_heap(int advice)
{
    unsigned char *heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (heap == MAP_FAILED) fail("mmap");
    madvise(heap, HEAP, advice);
    return heap;
}

/* One store a page; each timed. */
static void store_each_page(unsigned char *heap, unsigned char value)
{
    for (size_t page = 0; page < SAMPLES; page++) {
        uint64_t start = ticks();
        *(volatile unsigned char *)(heap + page * PAGE) = value;
        samples[page] = (uint32_t)(ticks() - start);
    }
}

/* Time of fork() in the parent, with the heap touched; the children do nothing. */
static void measure_fork(unsigned char *heap, const char *name)
{
    enum { ROUNDS = 15 };
    for (int round = 0; round < ROUNDS; round++) {
        memset(heap, round, HEAP);
        uint64_t start = ticks();
        pid_t child = fork();
        uint64_t end = ticks();
        if (child < 0) fail("fork");
        if (child == 0) _exit(0);
        samples[round] = (uint32_t)(end - start);
        waitpid(child, NULL, 0);
    }
    report(name, ROUNDS);
}

/* The parent's stores while a child shares the pages. */
static void measure_copy_on_write(unsigned char *heap)
{
    /* A quarter of the heap: parent and child must fit into RAM together. */
    size_t pages = SAMPLES / 4;
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        pause();
        _exit(0);
    }
    for (size_t page = 0; page < pages; page++) {
        uint64_t start = ticks();
        *(volatile unsigned char *)(heap + page * PAGE) = 77;
        samples[page] = (uint32_t)(ticks() - start);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    report_stores("fault_copy", pages);
}

static void measure_mprotect(unsigned char *heap)
{
    enum { ROUNDS = 15 };
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = ticks();
        mprotect(heap, HEAP, PROT_READ);
        samples[round] = (uint32_t)(ticks() - start);
        mprotect(heap, HEAP, PROT_READ | PROT_WRITE);
        memset(heap, round, HEAP);
    }
    report("mprotect_192_mib", ROUNDS);
}

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void measure_page_in(const char *device, uint64_t pages)
{
    enum { READS = 2000 };
    int file = open(device, O_RDONLY);
    if (file < 0) fail(device);
    const volatile unsigned char *map = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) fail("mmap of the disk");
    madvise((void *)map, pages * PAGE, MADV_RANDOM);
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    for (int read = 0; read < READS; read++) {
        uint64_t page = next_random() % pages, start = ticks();
        (void)map[page * PAGE];
        samples[read] = (uint32_t)(ticks() - start);
    }
    report("fault_page_in", READS);
    close(file);
}

/* Random 4 KiB reads past the page cache, `depth` in flight. */
static void measure_raw_reads(const char *device, uint64_t pages, int depth)
{
    enum { READS = 4000, MOST = 64 };
    static struct iocb requests[MOST];
    aio_context_t context = 0;
    unsigned char *buffers = aligned_alloc(PAGE, (size_t)PAGE * MOST);
    int file = open(device, O_RDONLY | O_DIRECT), submitted = 0, done = 0;
    if (file < 0 || buffers == NULL) fail(device);
    if (syscall(SYS_io_setup, MOST, &context) < 0) fail("io_setup");
    uint64_t start = nanoseconds();
    int free_slots[MOST], free_count = depth;
    for (int slot = 0; slot < depth; slot++) free_slots[slot] = slot;
    while (done < READS) {
        while (free_count > 0 && submitted < READS) {
            int slot = free_slots[--free_count];
            struct iocb *request = &requests[slot], *list[1] = {request};
            memset(request, 0, sizeof *request);
            request->aio_lio_opcode = IOCB_CMD_PREAD;
            request->aio_fildes = (uint32_t)file;
            request->aio_buf = (uint64_t)(uintptr_t)(buffers + slot * PAGE);
            request->aio_nbytes = PAGE;
            request->aio_offset = (int64_t)(next_random() % pages * PAGE);
            request->aio_data = (uint64_t)slot;
            if (syscall(SYS_io_submit, context, 1, list) != 1) fail("io_submit");
            submitted++;
        }
        struct io_event events[MOST];
        long count = syscall(SYS_io_getevents, context, 1, MOST, events, NULL);
        if (count < 0) fail("io_getevents");
        for (long index = 0; index < count; index++) free_slots[free_count++] = (int)events[index].data;
        done += (int)count;
    }
    double seconds = (double)(nanoseconds() - start) / 1e9;
    printf("metric linux_raw_read_depth_%d %.0f reads/s\n", depth, READS / seconds);
    if (depth == 1) printf("metric linux_raw_read_latency %.3f us\n", seconds * 1e6 / READS);
    fflush(stdout);
    close(file);
    free(buffers);
}

/* 64 MiB in requests of one size past the page cache, then a flush. */
static void measure_raw_writes(const char *device)
{
    double best = 0;
    unsigned char *buffer = aligned_alloc(PAGE, MIB);
    int file = open(device, O_WRONLY | O_DIRECT);
    if (file < 0 || buffer == NULL) fail(device);
    memset(buffer, 5, MIB);
    for (size_t size = 64 << 10; size <= MIB; size *= 2) {
        uint64_t start = nanoseconds();
        for (size_t at = 0; at < 64 * MIB; at += size)
            if (pwrite(file, buffer, size, (off_t)at) != (ssize_t)size) fail("pwrite");
        if (fdatasync(file) < 0) fail("fdatasync");
        double rate = 64.0 / ((double)(nanoseconds() - start) / 1e9);
        if (rate > best) best = rate;
    }
    printf("metric linux_raw_write %.1f MiB/s\n", best);
    fflush(stdout);
    close(file);
    free(buffer);
}

int main(void)
{
    uint64_t bytes = 0;
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    load_modules();
    calibrate();
    samples = mmap(NULL, SAMPLES * sizeof *samples, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (samples == MAP_FAILED) fail("mmap");
    struct timespec up;
    clock_gettime(CLOCK_BOOTTIME, &up);
    printf("probe: started\nmetric linux_boot %.3f s\n", (double)up.tv_sec + (double)up.tv_nsec / 1e9);

    unsigned char *heap = map_heap(MADV_NOHUGEPAGE);
    store_each_page(heap, 1);
    report_stores("fault_zero_fill", SAMPLES);
    measure_fork(heap, "fork_pause_192_mib");
    measure_copy_on_write(heap);
    measure_mprotect(heap);
    munmap(heap, HEAP);
    heap = map_heap(MADV_HUGEPAGE);
    measure_fork(heap, "fork_pause_192_mib_huge");
    munmap(heap, HEAP);

    /* 64 in-user copies of a page, for scale. */
    static unsigned char source[64 * PAGE], target[64 * PAGE];
    memset(source, 1, sizeof source);
    memset(target, 2, sizeof target);
    uint64_t start = ticks();
    for (int page = 0; page < 64; page++) memcpy(target + page * PAGE, source + page * PAGE, PAGE);
    printf("metric linux_copy_64_pages %.3f us\n", (double)(ticks() - start) * ns_per_tick / 1000);

    int disk = -1;
    for (int wait = 0; wait < 100 && disk < 0; wait++) {
        disk = open("/dev/vda", O_RDONLY);
        if (disk < 0) usleep(20000);
    }
    if (disk < 0 || ioctl(disk, BLKGETSIZE64, &bytes) < 0) fail("/dev/vda");
    close(disk);
    measure_raw_writes("/dev/vda");
    measure_page_in("/dev/vda", bytes / PAGE);
    measure_raw_reads("/dev/vda", bytes / PAGE, 1);
    measure_raw_reads("/dev/vda", bytes / PAGE, 16);
    printf("probe: done\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 0;
}
