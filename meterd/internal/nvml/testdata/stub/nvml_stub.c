// A library with the NVML symbols that the nvml source uses, for tests. Built by TestMain; see stub_test.go.
//
// Its physics is consistent: the energy counter is the exact integral of the power, and all readings are refreshed
// together every 100 ms. The environment, read by nvmlInit_v2, says what it is:
//
//   NVML_STUB_DEVICES     number of GPUs (1); GPU i draws 10 W x i more than GPU 0
//   NVML_STUB_WAVE        "constant W" | "square LOW HIGH HALF_PERIOD_S" | "step LOW HIGH AT_S"   (constant 400)
//   NVML_STUB_WINDOW_MS   boxcar of the instant power (25)
//   NVML_STUB_CAPABILITY  CUDA compute capability ("9.0")
//   NVML_STUB_DRIVER      "old": no field values; "missing": not loaded; "denied": no permission
//   NVML_STUB_CLOCK       file of 8 bytes, nanoseconds, that replaces the time since the epoch
//   NVML_STUB_CONTROL     file of words read by every call: "lost N", "reset N S" (counter zero at S),
//                         "unsupported FIELD", "failed FIELD", "garbage FIELD" (a negative value), "skipped FIELD" (not answered)
//
// Time zero of the waves is zero of that clock.

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int ret_t;
typedef struct device { int index; } *device_t;
enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999 };

typedef struct {
    unsigned field, scope;
    long long timestamp, latency;
    int type;
    ret_t ret;
    union { double d; int si; unsigned ui; unsigned long long ull; } value;
} field_t; // nvmlFieldValue_t

enum { MAX_DEVICES = 64 };
static struct device devices[MAX_DEVICES];
static int count, clock_file = -1, major = 9, minor;
static double window;
static char control[512];
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

// joules is the integral of the power from time zero to t, which may be negative.
static real joules(const struct device *d, real t) {
    real e = (wave.low + 10 * d->index) * t, more = wave.high - wave.low;
    if (wave.kind == 't' && t > wave.s)
        e += more * (t - wave.s);
    if (wave.kind == 'q') { // the second half of each period is high
        real periods = floorl(t / (2 * wave.s)), rest = t - periods * 2 * wave.s;
        e += more * (periods * wave.s + (rest > wave.s ? rest - wave.s : 0));
    }
    return e;
}

static real refreshed(void) { return floorl(now() * 10 + 1e-6L) / 10; }

static real mean(const struct device *d, real length) { // watts over the last length seconds before the refresh
    real t = refreshed();
    return (joules(d, t) - joules(d, t - length)) / length;
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

static unsigned long long millijoules(const struct device *d) {
    double since = 0;
    told("reset", d->index, &since);
    return (unsigned long long)llroundl((joules(d, refreshed()) - joules(d, since)) * 1000);
}

ret_t nvmlInit_v2(void) {
    const char *driver = env("NVML_STUB_DRIVER", "");
    if (!strcmp(driver, "missing")) return DRIVER_NOT_LOADED;
    if (!strcmp(driver, "denied")) return NO_PERMISSION;
    count = atoi(env("NVML_STUB_DEVICES", "1"));
    if (count < 0 || count > MAX_DEVICES) return INVALID_ARGUMENT;
    for (int i = 0; i < count; i++) devices[i].index = i;
    window = atof(env("NVML_STUB_WINDOW_MS", "25")) / 1000;
    sscanf(env("NVML_STUB_CAPABILITY", "9.0"), "%d.%d", &major, &minor);
    snprintf(control, sizeof control, "%s", env("NVML_STUB_CONTROL", ""));
    const char *w = env("NVML_STUB_WAVE", "constant 400");
    memset(&wave, 0, sizeof wave);
    if (sscanf(w, "square %lf %lf %lf", &wave.low, &wave.high, &wave.s) == 3) wave.kind = 'q';
    else if (sscanf(w, "step %lf %lf %lf", &wave.low, &wave.high, &wave.s) == 3) wave.kind = 't';
    else if (sscanf(w, "constant %lf", &wave.low) == 1) wave.kind = 'c';
    else return INVALID_ARGUMENT;
    if (clock_file >= 0) close(clock_file);
    clock_file = open(env("NVML_STUB_CLOCK", ""), O_RDONLY | O_CLOEXEC);
    return SUCCESS;
}

ret_t nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(ret_t r) {
    switch (r) {
    case SUCCESS: return "Success";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    }
    return "Unknown Error";
}

ret_t nvmlDeviceGetCount_v2(unsigned *n) {
    *n = count;
    return SUCCESS;
}

ret_t nvmlDeviceGetHandleByIndex_v2(unsigned i, device_t *d) {
    if (i >= (unsigned)count) return INVALID_ARGUMENT;
    *d = &devices[i];
    return SUCCESS;
}

ret_t nvmlDeviceGetName(device_t d, char *name, unsigned length) {
    (void)d;
    snprintf(name, length, "STUB H200");
    return SUCCESS;
}

ret_t nvmlDeviceGetUUID(device_t d, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012d", d->index);
    return SUCCESS;
}

ret_t nvmlDeviceGetHandleByUUID(const char *uuid, device_t *d) {
    int i;
    if (sscanf(uuid, "GPU-00000000-0000-0000-0000-%d", &i) != 1 || i >= count) return NOT_FOUND;
    if (told("lost", i, NULL)) return GPU_IS_LOST;
    *d = &devices[i];
    return SUCCESS;
}

ret_t nvmlDeviceGetCudaComputeCapability(device_t d, int *a, int *b) {
    (void)d;
    *a = major;
    *b = minor;
    return SUCCESS;
}

ret_t nvmlDeviceGetPowerManagementLimitConstraints(device_t d, unsigned *least, unsigned *most) {
    (void)d;
    *least = 200000;
    *most = 700000;
    return SUCCESS;
}

ret_t nvmlDeviceGetPowerUsage(device_t d, unsigned *milliwatts) {
    if (told("lost", d->index, NULL)) return GPU_IS_LOST;
    *milliwatts = (unsigned)lroundl(mean(d, 1) * 1000);
    return SUCCESS;
}

ret_t nvmlDeviceGetTotalEnergyConsumption(device_t d, unsigned long long *energy) {
    if (told("lost", d->index, NULL)) return GPU_IS_LOST;
    *energy = millijoules(d);
    return SUCCESS;
}

#ifndef NO_FIELD_VALUES
static void get(const struct device *d, field_t *v) {
    if (told("failed", v->field, NULL)) { // like the real one: the value stays as it was
        v->ret = UNKNOWN;
        return;
    }
    if (v->scope != 0 || told("unsupported", v->field, NULL) || !strcmp(env("NVML_STUB_DRIVER", ""), "old")) {
        v->ret = NOT_SUPPORTED;
        return;
    }
    v->ret = SUCCESS;
    v->timestamp = (long long)(now() * 1e6);
    if (told("garbage", v->field, NULL)) {
        v->type = 5;
        v->value.si = -1;
        return;
    }
    switch (v->field) {
    case 83:
        v->type = 3;
        v->value.ull = millijoules(d);
        break;
    case 185: // only half of the union is written, as by the real library
        v->type = 1;
        v->value.ui = (unsigned)lroundl(mean(d, 1) * 1000);
        break;
    case 186:
        v->type = 1;
        v->value.ui = (unsigned)lroundl(mean(d, window) * 1000);
        break;
    default:
        v->ret = INVALID_ARGUMENT;
    }
}

ret_t nvmlDeviceGetFieldValues(device_t d, int n, field_t *values) {
    if (told("lost", d->index, NULL)) return GPU_IS_LOST;
    for (int i = 0; i < n; i++)
        if (!told("skipped", values[i].field, NULL)) // not even a return code
            get(d, &values[i]);
    return SUCCESS;
}
#endif
