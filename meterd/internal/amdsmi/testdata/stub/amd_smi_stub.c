// A library with the amd_smi symbols that the amdsmi source uses, for tests, in the layout of the version that ABI names (24, 25,
// 26, 27). Built by TestMain; see stub_test.go. Written from the structures' description, not from AMD's code.
//
// Its physics is consistent: the energy counter is the exact integral of the power in 2^-16 J, renewed every millisecond; the
// power is that of the moment, in whole watts. The environment, read by amdsmi_init, says what it is:
//
//   AMD_STUB_DEVICES     number of GPUs (1), at 0000:05:00.0, 0000:06:00.0, ...; GPU i draws 10 W x i more than GPU 0
//   AMD_STUB_PARTITIONS  processors per GPU (1): only the first has power, the others 0
//   AMD_STUB_PAIRS       set: every second GPU is the second die of the one before it: 0
//   AMD_STUB_WAVE        "LOW HIGH HALF_PERIOD_MS": square wave, low first (400 400 1000)
//   AMD_STUB_POWER       "average" (MI200) or "current" (MI300) is there, the other one is marked as not there (current)
//   AMD_STUB_BOARD       watts of the baseboard, ABI 26 and 27 (none)
//   AMD_STUB_VERSION     four words in place of those of amdsmi_version_t
//   AMD_STUB_METRICS     content revision of gpu_metrics (8)
//   AMD_STUB_INIT        status of amdsmi_init (0)
//   AMD_STUB_CLOCK       file of 8 bytes: nanoseconds since the epoch of its time
//   AMD_STUB_CONTROL     file of lines "WORD GPU [VALUE]", read by every call: lost (until the library is started again),
//                        vanished (its files are away: both calls say so), energy STATUS, power STATUS,
//                        noenergy and nopower (marked as not there), reset MS, frozen MS, cap WATTS, mode (CPX), hang
//
// Two calls at once, or calls from two threads, are what breaks the real one: all calls fail from then on.

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint32_t status_t;
enum { OK = 0, INVAL = 1, NOT_SUPPORTED = 2, API_FAILED = 7, NOT_FOUND = 31, NOT_INIT = 32 };
enum { MAX_DEVICES = 16, MAX_PARTITIONS = 8 };

typedef struct { int gpu, partition, stale; } processor_t;
typedef __uint128_t wide;

static processor_t processors[MAX_DEVICES][MAX_PARTITIONS];
static int started, count, partitions, pairs, clock_file = -1, average, board, metrics;
static long low, high, half;
static char control[512];
static uint32_t version[4];
static atomic_int inside, broken;
static pthread_t caller;
static atomic_int called;

static const char *env(const char *name, const char *otherwise) {
    const char *v = getenv(name);
    return v && *v ? v : otherwise;
}

// enter and leave mark a call.
static int enter(void) {
    if (atomic_fetch_add(&inside, 1)) broken = 1;
    if (!atomic_exchange(&called, 1)) caller = pthread_self();
    else if (!pthread_equal(caller, pthread_self())) broken = 1;
    return broken;
}
static status_t leave(status_t s) {
    atomic_fetch_sub(&inside, 1);
    return broken ? API_FAILED : s;
}

static uint64_t nanoseconds(void) {
    uint64_t ns = 0;
    if (clock_file < 0 || pread(clock_file, &ns, sizeof ns, 0) != sizeof ns) return 0;
    return ns;
}

// told reports whether the control file says word about GPU n, and gives the number after it.
static int told(const char *word, int n, long *value) {
    FILE *f = *control ? fopen(control, "r") : NULL;
    char line[128], w[32];
    int found = 0;
    while (f && !found && fgets(line, sizeof line, f)) {
        int m;
        long v = 0;
        if (sscanf(line, "%31s %d %ld", w, &m, &v) >= 2 && !strcmp(w, word) && m == n) {
            found = 1;
            if (value) *value = v;
        }
    }
    if (f) fclose(f);
    return found;
}

static int second(const processor_t *p) { return p->partition || (pairs && p->gpu % 2); }

// nanojoules is the integral of the power from time zero to t.
static wide nanojoules(const processor_t *p, uint64_t t) {
    uint64_t h = (uint64_t)half * 1000000, rest = t % (2 * h), periods = t / (2 * h);
    uint64_t lows = periods * h + (rest < h ? rest : h), highs = periods * h + (rest > h ? rest - h : 0);
    return (wide)(low + 10 * p->gpu) * lows + (wide)(high + 10 * p->gpu) * highs;
}

static uint64_t counts(const processor_t *p) {
    uint64_t t = nanoseconds() / 1000000 * 1000000, since = 0;
    long ms;
    if (second(p)) return 0;
    if (told("frozen", p->gpu, &ms) && t > (uint64_t)ms * 1000000) t = (uint64_t)ms * 1000000;
    if (told("reset", p->gpu, &ms)) since = (uint64_t)ms * 1000000;
    return (uint64_t)((nanojoules(p, t) - nanojoules(p, since)) * 65536 / 1000000000);
}

static uint32_t watts(const processor_t *p) {
    uint64_t h = (uint64_t)half * 1000000;
    return second(p) ? 0 : 10 * p->gpu + (nanoseconds() % (2 * h) < h ? low : high);
}

// usable returns what every call about a GPU begins with.
static status_t usable(processor_t *p) {
    if (!started) return NOT_INIT;
    if (told("lost", p->gpu, NULL)) p->stale = 1;
    return p->stale ? NOT_FOUND : OK;
}

status_t amdsmi_init(uint64_t flags) {
    enter();
    if (flags != 2) return leave(INVAL);
    status_t s = atoi(env("AMD_STUB_INIT", "0"));
    count = atoi(env("AMD_STUB_DEVICES", "1"));
    partitions = atoi(env("AMD_STUB_PARTITIONS", "1"));
    pairs = *env("AMD_STUB_PAIRS", "") != 0;
    average = !strcmp(env("AMD_STUB_POWER", "current"), "average");
    board = atoi(env("AMD_STUB_BOARD", "-1"));
    metrics = atoi(env("AMD_STUB_METRICS", "8"));
    snprintf(control, sizeof control, "%s", env("AMD_STUB_CONTROL", ""));
    if (count < 0 || count > MAX_DEVICES || partitions < 1 || partitions > MAX_PARTITIONS) return leave(INVAL);
    if (sscanf(env("AMD_STUB_WAVE", "400 400 1000"), "%ld %ld %ld", &low, &high, &half) != 3) return leave(INVAL);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < partitions; j++)
            processors[i][j] = (processor_t){i, j, told("lost", i, NULL)};
    if (ABI == 24) memcpy(version, (uint32_t[]){24, 7, 1, 0}, sizeof version);
    if (ABI == 25) memcpy(version, (uint32_t[]){25, 25, 3, 0}, sizeof version);
    if (ABI == 26) memcpy(version, (uint32_t[]){26, 1, 0, 0}, sizeof version);
    if (ABI == 27) memcpy(version, (uint32_t[]){27, 1, 0, 0}, sizeof version);
    sscanf(env("AMD_STUB_VERSION", ""), "%u %u %u %u", &version[0], &version[1], &version[2], &version[3]);
    if (clock_file >= 0) close(clock_file);
    clock_file = open(env("AMD_STUB_CLOCK", ""), O_RDONLY | O_CLOEXEC);
    if (s == OK) started = 1;
    else called = 0;
    return leave(s);
}

status_t amdsmi_shut_down(void) {
    enter();
    status_t s = started ? OK : NOT_INIT;
    started = 0;
    called = 0; // the next start may be by another thread
    return leave(s);
}

status_t amdsmi_get_lib_version(uint32_t *v) {
    enter();
    memcpy(v, version, (ABI >= 26 ? 3 : 4) * sizeof *v);
    return leave(started ? OK : NOT_INIT);
}

status_t amdsmi_get_socket_handles(uint32_t *n, void **handles) {
    enter();
    if (!started) return leave(NOT_INIT);
    if (handles && *n > (uint32_t)count) *n = count;
    if (!handles) *n = count;
    for (uint32_t i = 0; handles && i < *n; i++) handles[i] = processors[i];
    return leave(OK);
}

status_t amdsmi_get_processor_handles(void *socket, uint32_t *n, void **handles) {
    enter();
    processor_t *first = socket;
    if (!handles || *n > (uint32_t)partitions) *n = partitions;
    for (uint32_t i = 0; handles && i < *n; i++) handles[i] = first + i;
    return leave(OK);
}

status_t amdsmi_get_processor_type(processor_t *p, uint32_t *type) {
    enter();
    (void)p;
    *type = 1;
    return leave(OK);
}

status_t amdsmi_get_gpu_device_bdf(processor_t *p, uint64_t *bdf) {
    enter();
    *bdf = (uint64_t)(5 + p->gpu) << 8 | p->partition;
    return leave(OK);
}

status_t amdsmi_get_gpu_device_uuid(processor_t *p, unsigned *length, char *uuid) {
    enter();
    if (*length < 38) return leave(INVAL);
    snprintf(uuid, 38, "7eff74a1-0000-1000-80ae-%012x", p->gpu);
    return leave(OK);
}

status_t amdsmi_get_gpu_asic_info(processor_t *p, char *market_name) {
    enter();
    (void)p;
    strcpy(market_name, "AMD Instinct STUB");
    return leave(OK);
}

status_t amdsmi_get_energy_count(processor_t *p, uint64_t *energy, float *resolution, uint64_t *timestamp) {
    long s;
    enter();
    while (told("hang", p->gpu, NULL)) usleep(1000);
    if ((s = usable(p)) != OK) return leave(s);
    if (told("vanished", p->gpu, NULL)) return leave(NOT_SUPPORTED);
    if (told("energy", p->gpu, &s)) return leave(s);
    *energy = told("noenergy", p->gpu, NULL) ? UINT64_MAX : counts(p);
    *resolution = 15.3f;
    *timestamp = nanoseconds();
    return leave(OK);
}

status_t amdsmi_get_power_info(processor_t *p, unsigned char *info) {
    long s;
    enter();
    if ((s = usable(p)) != OK) return leave(s);
    if (told("vanished", p->gpu, NULL)) return leave(-1);
    if (told("power", p->gpu, &s)) return leave(s);
    // Before 26 the mark is that of the kernel's 16 bits.
    uint32_t none = ABI >= 26 ? UINT32_MAX : 0xffff, w = told("nopower", p->gpu, NULL) ? none : watts(p);
    uint32_t now = average ? none : w, mean = average ? w : none;
    if (ABI == 24) {
        struct { uint32_t current, average, gfx, soc, mem, limit, reserved[11]; } v = {now, mean, none, none, none, 750, {0}};
        memcpy(info, &v, sizeof v);
    }
    if (ABI == 25) {
        struct { uint64_t socket; uint32_t current, average, gfx, soc, mem, limit, reserved[2]; } v = {w, now, mean, none, none, none, 750, {0}};
        memcpy(info, &v, sizeof v);
    }
    if (ABI >= 26) {
        struct { uint64_t socket; uint32_t current, average; uint64_t gfx, soc, mem; uint32_t limit, board; uint64_t reserved[18]; } v =
            {w, now, mean, none, none, none, 750, board < 0 ? UINT32_MAX : (uint32_t)board, {0}};
        memcpy(info, &v, sizeof v);
    }
    return leave(OK);
}

status_t amdsmi_get_power_cap_info(processor_t *p, uint32_t sensor, uint64_t *info) {
    long w = 750, unit = ABI == 24 ? 1 : 1000000; // 24: as before ROCm 6.1.2
    enter();
    (void)sensor;
    told("cap", p->gpu, &w);
    uint64_t v[8] = {w * unit, 750 * unit, 2100, 0, 750 * unit, 0, 0, 0};
    memcpy(info, v, sizeof v);
    return leave(OK);
}

status_t amdsmi_get_gpu_compute_partition(processor_t *p, char *mode, uint32_t length) {
    enter();
    if (length < 4) return leave(INVAL);
    strcpy(mode, told("mode", p->gpu, NULL) ? "CPX" : "SPX");
    return leave(OK);
}

status_t amdsmi_get_gpu_metrics_header_info(processor_t *p, uint8_t *header) {
    enter();
    (void)p;
    header[2] = 1;
    header[3] = metrics;
    return leave(OK);
}
