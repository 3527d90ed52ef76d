"""Six exact quantiles of 10 M log-normal values with numpy, in CPU time: the peer of BenchmarkQuantiles.

    pip install numpy
    python3 docs/peers/quantiles.py

Compare ratios, not nanoseconds: the floor (a sum over the values) is measured in the same rounds on both sides. numpy's
method "inverted_cdf" is the nearest-rank order statistic that runner uses.
"""

import statistics
import time

import numpy

RECORDS = 10_000_000
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
ROUNDS = 7


def cpu_ns_per_record(work):
    begin = time.process_time_ns()
    work()
    return (time.process_time_ns() - begin) / RECORDS


def main():
    values = numpy.random.default_rng(1).lognormal(size=RECORDS)
    contestants = {
        "sum": lambda: values.sum(),
        "quantile, nearest rank": lambda: numpy.quantile(values, QUANTILES, method="inverted_cdf"),
        "percentile, default (interpolates)": lambda: numpy.quantile(values, QUANTILES),
        "sort": lambda: numpy.sort(values),
    }
    times = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            times[name].append(cpu_ns_per_record(work))
    floor = statistics.median(times["sum"])
    for name, ns in times.items():
        median = statistics.median(ns)
        print(f"{name:36} {median:8.2f} ns/record (worst {max(ns):.2f}), {median / floor:6.1f} x sum")


if __name__ == "__main__":
    main()
