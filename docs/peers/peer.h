// What the C peers share: the clock of the stamps, and the account that every client prints.
#ifndef PEER_H
#define PEER_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline int64_t now_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The error of every stamp, in ns.
struct errors {
    int64_t *ns;
    size_t n, cap;
};

static inline void note(struct errors *e, int64_t ns) {
    if (e->n == e->cap) {
        e->cap = e->cap ? 2 * e->cap : 1 << 16;
        if (!(e->ns = realloc(e->ns, e->cap * sizeof *e->ns))) die("realloc");
    }
    e->ns[e->n++] = ns;
}

static inline double at_quantile(struct errors *e, double q) {
    return e->n ? e->ns[(size_t)(q * (double)(e->n - 1))] / 1e3 : 0;
}

static inline double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

// One JSON line: events, CPU seconds, quantiles of the stamps' error in us, reads with more than one event, memory.
static inline void account(long events, long merged, int failed, struct errors *e) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    qsort(e->ns, e->n, sizeof *e->ns, by_value);
    printf("{\"events\":%ld,\"user\":%.6f,\"sys\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,"
           "\"merged\":%ld,\"failed\":%d,\"rss_kb\":%ld}\n",
           events, seconds(u.ru_utime), seconds(u.ru_stime), at_quantile(e, .5), at_quantile(e, .99), at_quantile(e, .999),
           at_quantile(e, 1), merged, failed, u.ru_maxrss);
}
#endif
