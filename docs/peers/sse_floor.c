// The floor of the comparison: clients that only read, count, and compare stamps.
//
//   sse_floor epoll HOST:PORT STREAMS TOKENS   a wake-up per arrival; the stamp is ours, after the read
//   sse_floor tick  HOST:PORT STREAMS TOKENS   all sockets once per ms; the stamp is the kernel's
//   sse_floor uring HOST:PORT STREAMS TOKENS   io_uring, multishot receive, once per ms; the stamp is the kernel's
#define _GNU_SOURCE
#include "peer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 20000 };

static struct errors off;
static long events, merged;
static int open_streams, failed;

// take counts the events of one read, whose last byte arrived at stamp; it reports the end of the stream.
static int take(const char *b, size_t n, int64_t stamp) {
    static const char mark[] = "\"content\":\"1";
    const char *end = b + n;
    int found = 0;
    for (const char *p = b; (p = memmem(p, (size_t)(end - p), mark, sizeof mark - 1)); p += 10) {
        found++; // the kernel begins to stamp a moment after it was asked to
        if (stamp) note(&off, llabs(stamp - strtoll(p + sizeof mark - 2, NULL, 10)));
    }
    events += found;
    merged += found > 1;
    return n >= 5 && !memcmp(end - 5, "0\r\n\r\n", 5);
}

static int64_t kernel_stamp(struct cmsghdr *c) {
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPING) return 0;
    struct timespec t;
    memcpy(&t, CMSG_DATA(c), sizeof t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int ask(const char *host, int port, int tokens, int stamps) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &a.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, how = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    if (fd < 0 || connect(fd, (void *)&a, sizeof a)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (stamps && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &how, sizeof how)) die("SO_TIMESTAMPING");
    char body[200], b[600];
    int n = sprintf(body, "{\"model\":\"scripted-model\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":%d,"
                          "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}", tokens);
    int m = sprintf(b, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
    if (send(fd, b, (size_t)m, 0) != m) die("send");
    open_streams++;
    return fd;
}

static void with_epoll(int ticks) {
    static char b[1 << 16], control[256];
    struct epoll_event ev[512];
    int epfd = epoll_create1(0);
    extern int fds[], streams;
    for (int i = 0; i < streams; i++) epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &(struct epoll_event){.events = EPOLLIN, .data.fd = fds[i]});
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (open_streams) {
        if (ticks) {
            if ((next.tv_nsec += 1000000) >= 1000000000) next.tv_sec++, next.tv_nsec -= 1000000000;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        }
        int n = epoll_wait(epfd, ev, 512, ticks ? 0 : -1);
        for (int i = 0; i < n; i++) {
            struct iovec v = {b, sizeof b};
            struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = ticks ? sizeof control : 0};
            ssize_t got = recvmsg(ev[i].data.fd, &m, MSG_DONTWAIT);
            int64_t stamp = ticks ? kernel_stamp(CMSG_FIRSTHDR(&m)) : now_ns(CLOCK_REALTIME);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) failed++;
            if (got <= 0 || take(b, (size_t)got, stamp)) close(ev[i].data.fd), open_streams--;
        }
    }
}

enum { ENTRIES = 4096, BUFFERS = 8192, ROOM = 2048 };

static struct {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask, submitted;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    struct io_uring_buf_ring *bufs;
    char *room;
} ring;

static void setup(void) {
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, .cq_entries = 4 * ENTRIES};
    ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring.fd < 0) die("io_uring_setup");
    size_t size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), sq = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    char *m = mmap(NULL, size > sq ? size : sq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
    ring.sqes = mmap(NULL, p.sq_entries * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
    if (m == MAP_FAILED || (void *)ring.sqes == MAP_FAILED) die("mmap");
    ring.sq_tail = (void *)(m + p.sq_off.tail), ring.sq_mask = (void *)(m + p.sq_off.ring_mask), ring.sq_array = (void *)(m + p.sq_off.array);
    ring.cq_head = (void *)(m + p.cq_off.head), ring.cq_tail = (void *)(m + p.cq_off.tail), ring.cq_mask = (void *)(m + p.cq_off.ring_mask);
    ring.cqes = (void *)(m + p.cq_off.cqes);
    ring.bufs = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ring.room = malloc((size_t)BUFFERS * ROOM);
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)ring.bufs, .ring_entries = BUFFERS, .bgid = 1};
    if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &reg, 1)) die("register buffers");
}

static void give(unsigned id) {
    unsigned short tail = ring.bufs->tail;
    struct io_uring_buf *b = &ring.bufs->bufs[tail & (BUFFERS - 1)];
    b->addr = (uint64_t)(uintptr_t)(ring.room + (size_t)id * ROOM), b->len = ROOM, b->bid = (unsigned short)id;
    __atomic_store_n(&ring.bufs->tail, (unsigned short)(tail + 1), __ATOMIC_RELEASE);
}

static struct msghdr shape = {.msg_controllen = 128};

static void enter(unsigned submit, unsigned want, struct __kernel_timespec *t) {
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)t};
    syscall(SYS_io_uring_enter, ring.fd, submit, want, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
}

static void receive(int fd) {
    unsigned tail = *ring.sq_tail, i = tail & *ring.sq_mask;
    ring.sqes[i] = (struct io_uring_sqe){.opcode = IORING_OP_RECVMSG, .fd = fd, .addr = (uint64_t)(uintptr_t)&shape, .len = 1,
                                         .ioprio = IORING_RECV_MULTISHOT, .flags = IOSQE_BUFFER_SELECT, .buf_group = 1, .user_data = (uint64_t)fd};
    ring.sq_array[i] = i;
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    if (++ring.submitted == ENTRIES / 2) enter(ring.submitted, 0, &(struct __kernel_timespec){0}), ring.submitted = 0;
}

static void completed(struct io_uring_cqe *c) {
    int end = 0, fd = (int)c->user_data;
    if (c->res == -ENOBUFS) {
        receive(fd);
        return;
    }
    if (c->flags & IORING_CQE_F_BUFFER) {
        unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;
        struct io_uring_recvmsg_out *out = (void *)(ring.room + (size_t)id * ROOM);
        char *control = (char *)(out + 1), *data = control + shape.msg_controllen;
        int64_t stamp = out->controllen ? kernel_stamp((void *)control) : 0;
        if (out->payloadlen == 0) failed++, end = 1;
        else end = take(data, out->payloadlen, stamp);
        give(id);
    } else if (c->res <= 0) {
        failed++, end = 1;
    }
    if (end) {
        shutdown(fd, SHUT_RDWR); // ends the multishot; its last completion finds the stream closed
        open_streams--;
    } else if (!(c->flags & IORING_CQE_F_MORE)) {
        receive(fd);
    }
}

static void with_uring(void) {
    extern int fds[], streams;
    static char ended[MOST];
    setup();
    for (unsigned i = 0; i < BUFFERS; i++) give(i);
    for (int i = 0; i < streams; i++) receive(fds[i]);
    while (open_streams) {
        // Wait for more completions than there can be, for 1 ms.
        enter(ring.submitted, 4 * ENTRIES, &(struct __kernel_timespec){.tv_nsec = 1000000});
        ring.submitted = 0;
        unsigned head = *ring.cq_head, tail = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
        for (; head != tail; head++) {
            struct io_uring_cqe *c = &ring.cqes[head & *ring.cq_mask];
            int fd = (int)c->user_data, before = open_streams;
            if (!ended[fd]) completed(c);
            else if (c->flags & IORING_CQE_F_BUFFER) give(c->flags >> IORING_CQE_BUFFER_SHIFT);
            if (open_streams < before) ended[fd] = 1;
        }
        __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
    }
}

int fds[MOST], streams;

int main(int argc, char **argv) {
    char host[64];
    int port;
    if (argc != 5 || sscanf(argv[2], "%63[^:]:%d", host, &port) != 2 || (streams = atoi(argv[3])) < 1 || streams > MOST - 100) {
        fprintf(stderr, "usage: sse_floor epoll|tick|uring HOST:PORT STREAMS TOKENS\n");
        return 2;
    }
    for (int i = 0; i < streams; i++) fds[i] = ask(host, port, atoi(argv[4]), strcmp(argv[1], "epoll"));
    if (!strcmp(argv[1], "uring")) with_uring();
    else with_epoll(!strcmp(argv[1], "tick"));
    account(events, merged, failed, &off);
    return failed > 0;
}
