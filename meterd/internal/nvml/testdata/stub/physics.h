// What the GPUs of the stub library are and draw; see nvml_stub.c for what the environment says about them.

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int ret_t;
typedef struct device { int index, bad; } *device_t;
enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, MISMATCH = 18, UNKNOWN = 999 };
enum { GPU = 0, MODULE = 1, MEMORY = 2 }; // scopes

typedef struct {
    unsigned field, scope;
    long long timestamp, latency;
    int type;
    ret_t ret;
    union { double d; int si; unsigned ui; unsigned long long ull; } value;
} field_t; // nvmlFieldValue_t

typedef struct {
    unsigned long long time;
    union { double d; unsigned ui; unsigned long long ull; } value;
} sample_t; // nvmlSample_t

enum { MAX_DEVICES = 64, MAX_HANDLES = 4096 };
static struct device handles[MAX_HANDLES]; // a handle that went bad is never given out again
static device_t current[MAX_DEVICES];
static int used, count, clock_file = -1, major = 9, minor, per_module, with_memory, unloaded;
static double window;
static char control[512], quirk[32];
static struct { char kind; double low, high, s; } wave;

static const char *env(const char *name, const char *otherwise) {
    const char *v = getenv(name);
    return v && *v ? v : otherwise;
}

// Energies since 1970 need the digits of a long double, for the power over 25 ms to come out exact.
typedef long double real;

static real now(void) { // seconds
    long long ns;
    if (clock_file >= 0 && pread(clock_file, &ns, sizeof ns, 0) == sizeof ns)
        return ns * 1e-9L;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec + t.tv_nsec * 1e-9L;
}

// of_gpu is the integral of the power of GPU i from time zero to t, in joules; t may be negative.
static real of_gpu(int i, real t) {
    real e = (wave.low + 10 * i) * t, more = wave.high - wave.low;
    if (wave.kind == 't' && t > wave.s)
        e += more * (t - wave.s);
    if (wave.kind == 'q') { // the second half of each period is high
        real periods = floorl(t / (2 * wave.s)), rest = t - periods * 2 * wave.s;
        e += more * (periods * wave.s + (rest > wave.s ? rest - wave.s : 0));
    }
    return e;
}

// joules is the same for one scope of the device.
static real joules(const struct device *d, int scope, real t) {
    if (scope == MEMORY) return 0.15L * of_gpu(d->index, t);
    if (scope == GPU) return of_gpu(d->index, t);
    if (!strcmp(quirk, "apart")) return of_gpu(d->index, t) + 150 * t / per_module;
    real e = 150 * t;
    int first = d->index / per_module * per_module;
    for (int i = first; i < first + per_module && i < count; i++) e += of_gpu(i, t);
    return e;
}

static real refreshed(void) { return floorl(now() * 10 + 1e-6L) / 10; }

// mean is in watts over the last length seconds before t.
static real mean(const struct device *d, int scope, real length, real t) {
    return (joules(d, scope, t) - joules(d, scope, t - length)) / length;
}

static unsigned milliwatts(const struct device *d, int scope, real length) {
    return (unsigned)lroundl(mean(d, scope, length, refreshed()) * 1000);
}

// told reports whether the control file says word about n, and gives the number after it.
static int told(const char *word, long n, double *value) {
    FILE *f = *control ? fopen(control, "r") : NULL;
    char line[128], w[32];
    int found = 0;
    while (f && !found && fgets(line, sizeof line, f)) {
        long m;
        double v = 0;
        if (sscanf(line, "%31s %ld %lf", w, &m, &v) >= 2 && !strcmp(w, word) && m == n) {
            found = 1;
            if (value) *value = v;
        }
    }
    if (f) fclose(f);
    return found;
}

// number is what the control file says about n, or otherwise.
static double number(const char *word, long n, double otherwise) {
    double v;
    return told(word, n, &v) ? v : otherwise;
}

static unsigned long long millijoules(const struct device *d, int scope) {
    double until = number("frozen", d->index, INFINITY), since = number("reset", d->index, 0);
    real t = refreshed();
    return (unsigned long long)llroundl((joules(d, scope, t > until ? until : t) - joules(d, scope, since)) * 1000);
}

// state is the reason why d cannot be asked, or SUCCESS. What went bad stays bad until the handle, or the library, is opened anew.
static ret_t state(device_t d) {
    if (told("unloaded", 0, NULL)) unloaded = 1;
    if (unloaded) return UNINITIALIZED;
    if (told("lost", d->index, NULL)) d->bad = 1;
    return d->bad ? GPU_IS_LOST : SUCCESS;
}
