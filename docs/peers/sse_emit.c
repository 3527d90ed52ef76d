// The server of the comparison: chat completions as a stream, on an absolute schedule, one write and one HTTP chunk per token.
// The content of every token is the CLOCK_REALTIME stamp, in ns, taken just before its write: any client can tell how far its
// own stamps are off. Stamps of our side only are judged, so that this server being late does no harm.
//
//   sse_emit TOKENS_PER_SECOND      prints its URL; answers max_tokens tokens; ends with standard input
//   sse_emit 0                      answers every request with one token, at once
#define _GNU_SOURCE
#include "peer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 20000, HEAD = 4096 };

struct stream {
    int fd, left;    // tokens to write; the last step is the end
    int64_t due;     // of the next token
    char in[HEAD];   // request header
    size_t got, skip; // bytes of it; bytes of the body still to come
    int asked;       // max_tokens of the request being read
};

static struct stream *streams[MOST + 64];
static struct stream *heap[MOST + 64];
static int waiting, epfd;
static int64_t period;

static void swim(int i) {
    for (; i && heap[i]->due < heap[(i - 1) / 2]->due; i = (i - 1) / 2) {
        struct stream *s = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = s;
    }
}

static void sink(int i) {
    for (int child; (child = 2 * i + 1) < waiting; i = child) {
        if (child + 1 < waiting && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[i]->due <= heap[child]->due) return;
        struct stream *s = heap[i];
        heap[i] = heap[child];
        heap[child] = s;
    }
}

static void drop(struct stream *s) {
    if (s->left) s->left = -1; // freed when its turn comes
    streams[s->fd] = NULL;
    close(s->fd);
    s->fd = -1;
    if (!s->left) free(s);
}

static int put(int fd, const char *b, size_t n) { return send(fd, b, n, MSG_NOSIGNAL) == (ssize_t)n; }

#define EVENT "data: {\"id\":\"chatcmpl-5f2c7c3be2ab4c5d9d0a8b1c2d3e4f50\",\"object\":\"chat.completion.chunk\",\"created\":1764180000," \
              "\"model\":\"scripted-model\",\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s,\"token_ids\":null}]}\n\n"

static size_t event(char *to, const char *delta, const char *finish) {
    char b[600];
    int n = snprintf(b, sizeof b, EVENT, delta, finish);
    return (size_t)sprintf(to, "%x\r\n%s\r\n", n, b);
}

static int begin(struct stream *s) {
    char b[1200];
    size_t n = (size_t)sprintf(b, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    n += event(b + n, "\"role\":\"assistant\",\"content\":\"\"", "null");
    return put(s->fd, b, n);
}

static int token(struct stream *s) {
    char b[700], delta[60];
    sprintf(delta, "\"content\":\"%019lld\"", (long long)now_ns(CLOCK_REALTIME));
    return put(s->fd, b, event(b, delta, "null"));
}

static int finish(struct stream *s) {
    char b[1600], usage[300];
    size_t n = event(b, "", "\"length\"");
    int u = sprintf(usage, "data: {\"id\":\"chatcmpl-5f2c7c3be2ab4c5d9d0a8b1c2d3e4f50\",\"model\":\"scripted-model\",\"choices\":[],"
                           "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\ndata: [DONE]\n\n", s->asked, s->asked + 9);
    n += (size_t)sprintf(b + n, "%x\r\n%s\r\n0\r\n\r\n", u, usage);
    return put(s->fd, b, n);
}

static void step(void) {
    struct stream *s = heap[0];
    int ok = s->left > 0 && (s->left > 1 ? token(s) : finish(s));
    if (ok && --s->left > 0) {
        s->due += period;
    } else {
        heap[0] = heap[--waiting];
        if (!ok) {
            s->left = 0;
            if (s->fd < 0) free(s);
            else drop(s);
        }
    }
    sink(0);
}

// whole is called when a request has been read.
static int whole(struct stream *s) {
    const char *list = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    if (!strncmp(s->in, "GET", 3)) return put(s->fd, list, strlen(list));
    if (!begin(s)) return 0;
    if (!period) {
        s->asked = 1;
        return token(s) && finish(s);
    }
    s->left = s->asked + 1;
    // Phases are spread by the golden ratio, so that streams asked for together do not tick together.
    static uint64_t phase;
    phase += 0x9e3779b97f4a7c15u;
    s->due = now_ns(CLOCK_MONOTONIC) + (int64_t)((double)(phase >> 11) / 9007199254740992.0 * (double)period);
    heap[waiting++] = s;
    swim(waiting - 1);
    return 1;
}

static int header(struct stream *s) {
    char *end = memmem(s->in, s->got, "\r\n\r\n", 4), *p;
    if (!end) return s->got < HEAD - 1;
    size_t size = (size_t)(end + 4 - s->in), have = s->got - size;
    s->skip = (p = strcasestr(s->in, "content-length:")) ? strtoul(p + 15, NULL, 10) : 0;
    s->asked = (p = strstr(end, "\"max_tokens\":")) ? atoi(p + 13) : 100;
    s->skip = s->skip > have ? s->skip - have : 0;
    return s->skip || (s->got = 0, whole(s));
}

static void readable(struct stream *s) {
    static char b[(1 << 20) + 1], *cap;
    int body = s->skip > 0;
    ssize_t n = body ? recv(s->fd, b, s->skip < sizeof b - 1 ? s->skip : sizeof b - 1, 0) : recv(s->fd, s->in + s->got, HEAD - 1 - s->got, 0);
    if (n < 0 && errno == EAGAIN) return;
    int ok = n > 0;
    if (ok && body) {
        b[n] = 0; // clients that write the body by itself
        if ((cap = strstr(b, "\"max_tokens\":"))) s->asked = atoi(cap + 13);
        if (!(s->skip -= (size_t)n)) s->got = 0, ok = whole(s);
    } else if (ok) {
        s->in[s->got += (size_t)n] = 0;
        ok = header(s);
    }
    if (!ok) drop(s);
}

static void accepted(int l) {
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0) return;
    struct stream *s = fd < MOST ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->fd = fd;
    streams[fd] = s;
    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
}

int main(int argc, char **argv) {
    double rate = argc > 1 ? atof(argv[1]) : 60;
    period = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, "reno", 4); // bbr paces: writes would leave later than their stamps say
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096) || getsockname(l, (void *)&a, &size)) die("listen");
    printf("http://127.0.0.1:%d/v1\n", ntohs(a.sin_port));
    fflush(stdout);
    epfd = epoll_create1(0);
    epoll_ctl(epfd, EPOLL_CTL_ADD, l, &(struct epoll_event){.events = EPOLLIN, .data.fd = l});
    epoll_ctl(epfd, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
    for (;;) {
        struct epoll_event ev[256];
        int64_t now = now_ns(CLOCK_MONOTONIC), wait = waiting ? heap[0]->due - now : 1000000000;
        struct timespec t = {wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0};
        int n = (int)syscall(SYS_epoll_pwait2, epfd, ev, 256, &t, NULL, 0);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd == 0) return 0;
            if (ev[i].data.fd == l) accepted(l);
            else if (streams[ev[i].data.fd]) readable(streams[ev[i].data.fd]);
        }
        for (int i = 0; i < 64 && waiting && heap[0]->due <= now_ns(CLOCK_MONOTONIC); i++) step();
    }
}
