// A library with the NVML symbols that the nvml source uses, for tests. Built by TestMain; see stub_test.go.
//
// Its physics is consistent: an energy counter is the exact integral of its power, all readings are refreshed together
// every 100 ms, and a module draws what its GPUs and its processor draw. The environment, read by nvmlInit_v2, says what it is:
//
//   NVML_STUB_DEVICES     number of GPUs (1); GPU i draws 10 W x i more than GPU 0
//   NVML_STUB_WAVE        "constant W" | "square LOW HIGH HALF_PERIOD_S" | "step LOW HIGH AT_S"   (constant 400)
//   NVML_STUB_WINDOW_MS   boxcar of the instant power (25)
//   NVML_STUB_CAPABILITY  CUDA compute capability ("9.0")
//   NVML_STUB_MODULE      GPUs per module, each with a processor of 150 W (0: no module scope). Every GPU tells its module's power
//   NVML_STUB_MEMORY      "1": memory scope, 15 % of the GPU's power; no instant power, as on the real ones
//   NVML_STUB_QUIRK       "ignored": scopes are not looked at; "counter": field 83 is the module's, and 191 is not there;
//                         "same": field 83 is the module's, and so is 191 in scope 1; "apart": each GPU of a module tells only its share;
//                         "homeless": which module a GPU is on is not told
//   NVML_STUB_DRIVER      "old": no field values; "missing": not loaded; "denied": no permission; "mismatch": of another version
//   NVML_STUB_CLOCK       file of 8 bytes, nanoseconds, that replaces the time since the epoch
//   NVML_STUB_CONTROL     file of words read by every call: "lost N" (its handle stays bad), "stuck N" (so do new ones, until
//                         the library is initialised again), "reset N S" (counter zero at S),
//                         "unsupported FIELD", "failed FIELD", "garbage FIELD" (a negative value), "skipped FIELD" (not answered),
//                         "uuid N M" (GPU N is another one), "count 0 N" (that many GPUs), "frozen N S" (counter stands still from S),
//                         "mig N 1", "limit N W", "reasons N BITS", "unloaded 0" (the driver; every handle stays bad), "changed 0"
//                         (the driver is of another version), "ring N 1" (the samples end), "future N 1" (samples of the next hour)
//
// Time zero of the waves is zero of that clock; the ring of samples has a clock of its own, which began 500 s later.
// Compiled with -DNO_FIELD_VALUES it lacks that function, as old drivers do; with -DBARE everything that is not always there.

#include "physics.h"

ret_t nvmlInit_v2(void) {
    const char *driver = env("NVML_STUB_DRIVER", "");
    snprintf(control, sizeof control, "%s", env("NVML_STUB_CONTROL", ""));
    if (!strcmp(driver, "missing") || told("unloaded", 0, NULL)) return DRIVER_NOT_LOADED;
    if (!strcmp(driver, "denied")) return NO_PERMISSION;
    if (!strcmp(driver, "mismatch") || told("changed", 0, NULL)) return MISMATCH;
    count = atoi(env("NVML_STUB_DEVICES", "1"));
    if (count < 0 || count > MAX_DEVICES) return INVALID_ARGUMENT;
    memset(current, 0, sizeof current);
    unloaded = 0;
    window = atof(env("NVML_STUB_WINDOW_MS", "25")) / 1000;
    per_module = atoi(env("NVML_STUB_MODULE", "0"));
    with_memory = atoi(env("NVML_STUB_MEMORY", "0"));
    snprintf(quirk, sizeof quirk, "%s", env("NVML_STUB_QUIRK", ""));
    sscanf(env("NVML_STUB_CAPABILITY", "9.0"), "%d.%d", &major, &minor);
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
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    case MISMATCH: return "RM has detected an NVML/RM version mismatch.";
    }
    return "Unknown Error";
}

ret_t nvmlDeviceGetCount_v2(unsigned *n) {
    if (unloaded) return UNINITIALIZED;
    *n = (unsigned)number("count", 0, count);
    return SUCCESS;
}

ret_t nvmlDeviceGetHandleByIndex_v2(unsigned i, device_t *d) {
    if (unloaded) return UNINITIALIZED;
    if (i >= (unsigned)count || i >= number("count", 0, count)) return INVALID_ARGUMENT;
    if (!current[i] || (current[i]->bad && !told("lost", i, NULL) && !told("stuck", i, NULL))) {
        if (used == MAX_HANDLES) return UNKNOWN;
        current[i] = &handles[used++];
        current[i]->index = i;
    }
    *d = current[i];
    return SUCCESS;
}

ret_t nvmlDeviceGetName(device_t d, char *name, unsigned length) {
    (void)d;
    snprintf(name, length, "STUB H200");
    return SUCCESS;
}

ret_t nvmlDeviceGetUUID(device_t d, char *uuid, unsigned length) {
    if (unloaded) return UNINITIALIZED;
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012d", (int)number("uuid", d->index, d->index));
    return SUCCESS;
}

ret_t nvmlDeviceGetPowerUsage(device_t d, unsigned *power) {
    ret_t r = state(d);
    if (r == SUCCESS) *power = milliwatts(d, GPU, 1);
    return r;
}

#ifndef BARE
ret_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, "999.10.01");
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

ret_t nvmlDeviceGetPowerManagementDefaultLimit(device_t d, unsigned *limit) {
    (void)d;
    *limit = 700000;
    return SUCCESS;
}

ret_t nvmlDeviceGetPowerManagementLimit(device_t d, unsigned *limit) {
    *limit = (unsigned)(number("limit", d->index, 700) * 1000);
    return state(d);
}

ret_t nvmlDeviceGetEnforcedPowerLimit(device_t d, unsigned *limit) { return nvmlDeviceGetPowerManagementLimit(d, limit); }

ret_t nvmlDeviceGetClockInfo(device_t d, int type, unsigned *megahertz) {
    *megahertz = type == 2 ? 3201 : type == 1 ? 1980 : 0; // memory, SM
    return state(d);
}

ret_t nvmlDeviceGetCurrentClocksEventReasons(device_t d, unsigned long long *reasons) {
    *reasons = (unsigned long long)number("reasons", d->index, 0);
    return state(d);
}

ret_t nvmlDeviceGetPersistenceMode(device_t d, int *mode) {
    *mode = 1;
    return state(d);
}

ret_t nvmlDeviceGetVbiosVersion(device_t d, char *version, unsigned length) {
    snprintf(version, length, "96.00.99.00.01");
    return state(d);
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} pci_t; // nvmlPciInfo_t

ret_t nvmlDeviceGetPciInfo_v3(device_t d, pci_t *pci) {
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", d->index + 1);
    return state(d);
}

ret_t nvmlDeviceGetEccMode(device_t d, int *mode, int *pending) {
    *mode = *pending = 1;
    return state(d);
}

ret_t nvmlDeviceGetMigMode(device_t d, unsigned *mode, unsigned *pending) {
    *mode = *pending = (unsigned)number("mig", d->index, 0);
    return state(d);
}

ret_t nvmlDeviceGetMemoryAffinity(device_t d, unsigned size, unsigned long *nodes, int scope) {
    (void)scope;
    if (!strcmp(quirk, "homeless")) return NOT_SUPPORTED;
    memset(nodes, 0, size * sizeof *nodes);
    nodes[0] = 1UL << (per_module ? d->index / per_module : 0) | 1UL << 40; // and the GPU's own memory, as on the GB200
    return SUCCESS;
}

enum { RING = 119, TICK_US = 20000, RING_EPOCH_US = 500000000 };

// The samples are the mean power of each 20 ms, in the type unsigned int, the last RING of them.
ret_t nvmlDeviceGetSamples(device_t d, int type, unsigned long long seen, int *value_type, unsigned *n, sample_t *samples) {
    ret_t r = state(d);
    int scope = type == 0 ? GPU : MODULE;
    if (r != SUCCESS) return r;
    if (type != 0 && (type != 7 || !per_module)) return NOT_SUPPORTED;
    real ahead = number("future", d->index, 0) ? 3600 : 0;
    long long last = (long long)floorl((now() + ahead) * 1e6L + 0.5L) / TICK_US, first = last - RING + 1;
    if (number("ring", d->index, 0) || now() * 1e6L < RING_EPOCH_US) return NOT_FOUND;
    if (seen && (long long)((seen + RING_EPOCH_US) / TICK_US) >= first) first = (seen + RING_EPOCH_US) / TICK_US + 1;
    if (first > last) return NOT_FOUND;
    *value_type = 1;
    if (samples == NULL) {
        *n = (unsigned)(last - first + 1);
        return SUCCESS;
    }
    unsigned room = *n;
    for (*n = 0; *n < room && first <= last; first++, ++*n) {
        samples[*n].time = (unsigned long long)(first * TICK_US - RING_EPOCH_US);
        samples[*n].value.ui = (unsigned)lroundl(mean(d, scope, TICK_US * 1e-6L, first * TICK_US * 1e-6L) * 1000);
    }
    return SUCCESS;
}

ret_t nvmlDeviceGetTotalEnergyConsumption(device_t d, unsigned long long *energy) {
    ret_t r = state(d);
    if (r == SUCCESS) *energy = millijoules(d, GPU);
    return r;
}

#ifndef NO_FIELD_VALUES
static int offered(unsigned field, unsigned scope) {
    if (told("unsupported", field, NULL) || !strcmp(env("NVML_STUB_DRIVER", ""), "old")) return 0;
    if (field == 191 && (!strcmp(quirk, "counter") || !strcmp(quirk, "ignored"))) return 0;
    if (!strcmp(quirk, "ignored")) return 1;
    if (scope == MODULE) return per_module > 0;
    if (scope == MEMORY) return with_memory && field != 186;
    return scope == GPU;
}

static void get(const struct device *d, field_t *v) {
    if (told("failed", v->field, NULL)) { // like the real one: the value stays as it was
        v->ret = UNKNOWN;
        return;
    }
    if (!offered(v->field, v->scope)) {
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
    int scope = !strcmp(quirk, "ignored") ? GPU : v->scope;
    switch (v->field) {
    case 83:
        if (!strcmp(quirk, "counter") || !strcmp(quirk, "same")) scope = MODULE;
        // fall through
    case 191:
        v->type = 3;
        v->value.ull = millijoules(d, scope);
        break;
    case 185: // only half of the union is written, as by the real library
        v->type = 1;
        v->value.ui = milliwatts(d, scope, 1);
        break;
    case 186:
        v->type = 1;
        v->value.ui = milliwatts(d, scope, window);
        break;
    case 188:
        v->type = 1;
        v->value.ui = scope == MODULE ? 1000000 * per_module : 700000;
        break;
    case 190:
        v->type = 1;
        v->value.ui = scope == MODULE ? 900000 * per_module : 700000;
        break;
    default:
        v->ret = INVALID_ARGUMENT;
    }
}

ret_t nvmlDeviceGetFieldValues(device_t d, int n, field_t *values) {
    ret_t r = state(d);
    for (int i = 0; r == SUCCESS && i < n; i++)
        if (!told("skipped", values[i].field, NULL)) // not even a return code
            get(d, &values[i]);
    return r;
}
#endif
#endif
