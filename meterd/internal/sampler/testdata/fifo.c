/*
 * The floor for the sampler's benchmark: a SCHED_FIFO loop around clock_nanosleep that does nothing else.
 * usage: fifo INTERVAL_NANOSECONDS TICKS
 * prints: P50 P99 MAX of the lateness in ns, and the CPU time of the process in ns
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

static long long nanos(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static int order(const void *a, const void *b) {
	long long x = *(const long long *)a, y = *(const long long *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	long long interval = atoll(argv[1]);
	int ticks = atoi(argv[2]);
	long long *late = calloc(ticks, sizeof *late);
	struct sched_param priority = {.sched_priority = 10};
	if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
		fprintf(stderr, "no SCHED_FIFO here\n");
	mlockall(MCL_CURRENT | MCL_FUTURE);

	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long long due = nanos(now);
	for (int i = 0; i < ticks; i++) {
		due += interval;
		struct timespec until = {due / 1000000000LL, due % 1000000000LL};
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
			;
		clock_gettime(CLOCK_MONOTONIC, &now);
		late[i] = nanos(now) - due;
	}
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	qsort(late, ticks, sizeof *late, order);
	printf("%lld %lld %lld %lld\n", late[(ticks + 1) / 2 - 1], late[(ticks * 99 + 99) / 100 - 1], late[ticks - 1],
	       (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000LL + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000LL);
	return 0;
}
