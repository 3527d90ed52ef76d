#!/usr/bin/env python3
"""What the join of power with windows costs in numpy and DuckDB, on the data of BenchmarkPrefix and BenchmarkWindow.

    pip install numpy duckdb
    python docs/peers/power_join.py
    go test -run xxx -bench 'Prefix|Window' -count 5 ./shared/power

2 M samples of one device at 1 kHz, windows of 2 to 20 s at random. Every way gives the same energy, which is checked.
One thread. Medians of 5 rounds of CPU time, as other work on the machine makes wall time meaningless.
"""

import resource
import statistics

import duckdb
import numpy as np

SAMPLES, STEP_US, WINDOWS, FEW, ROUNDS = 2_000_000, 1_000, 20_000, 20, 5


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def measure(label, unit, n, f):
    """Prints the median CPU time of f in ns per unit and returns f's last result."""
    times = []
    for _ in range(ROUNDS):
        begin = cpu()
        result = f()
        times.append((cpu() - begin) * 1e9 / n)
    print(f"{label:48} {statistics.median(times):14,.1f} ns/{unit}   (worst {max(times):,.1f})")
    return result


def main():
    r = np.random.default_rng(1)
    at = np.arange(SAMPLES, dtype=np.int64) * STEP_US
    milliwatts = r.integers(300_000, 700_000, SAMPLES, dtype=np.int64)
    begin = r.integers(0, at[-1] - 21_000_000, WINDOWS)
    end = begin + r.integers(2_000_000, 20_000_000, WINDOWS)

    def prefix():  # twice the integral, in mW µs, exact
        out = np.empty(SAMPLES, dtype=np.int64)
        out[0] = 0
        np.cumsum((milliwatts[1:] + milliwatts[:-1]) * np.diff(at), out=out[1:])
        return out

    total = measure("numpy: cumsum", "sample", SAMPLES, prefix)

    def upto(x):
        k = np.searchsorted(at, x, side="right") - 1
        dx, step = x - at[k], at[k + 1] - at[k]
        return total[k] + dx * (2 * milliwatts[k] + (milliwatts[k + 1] - milliwatts[k]) * dx / step)

    want = measure("numpy: searchsorted on cumsum, all windows at once", "window", WINDOWS, lambda: upto(end) - upto(begin))

    def masked():
        out = []
        for b, e in zip(begin[:FEW], end[:FEW]):
            inside = (at >= b) & (at <= e)
            t = np.concatenate(([b], at[inside], [e]))
            p = np.concatenate(([np.interp(b, at, milliwatts)], milliwatts[inside], [np.interp(e, at, milliwatts)]))
            out.append(2 * np.trapezoid(p, t))
        return np.array(out)

    np.testing.assert_allclose(measure("numpy: mask and trapezoid, window by window", "window", FEW, masked), want[:FEW], rtol=1e-9)

    db = duckdb.connect()
    db.execute("set threads = 1")
    samples = {"t": at, "p": milliwatts}
    wanted = {"i": np.arange(WINDOWS), "b": begin, "e": end}
    db.register("samples", samples)
    db.register("wanted", wanted)
    db.execute("create table s as select * from samples")
    db.execute("create table w as select * from wanted")

    def duck_prefix():
        db.execute("""create or replace table c as select t, p, lead(t) over o n, lead(p) over o q,
            (sum(d) over o)::bigint total from (select t, p, coalesce((p + lag(p) over v) * (t - lag(t) over v), 0) d
            from s window v as (order by t)) window o as (order by t)""")

    measure("DuckDB: sum() over", "sample", SAMPLES, duck_prefix)

    def duck_asof():
        upto = "{0}.total + ({1} - {0}.t) * (2 * {0}.p + ({0}.q - {0}.p) * ({1} - {0}.t) / ({0}.n - {0}.t))"
        return db.execute(f"""select {upto.format('y', 'e')} - ({upto.format('x', 'b')}) energy from w
            asof join c x on b >= x.t asof join c y on e >= y.t order by i""").fetchnumpy()["energy"]

    got = measure("DuckDB: asof join twice", "window", WINDOWS, duck_asof)
    np.testing.assert_allclose(got.astype(float), want, rtol=1e-9)

    def duck_range():
        return db.execute("""select sum((least(e, n) - greatest(b, t)) * (p + q)) from (select * from w where i < $few) w
            join c on n > b and t < e group by i order by i""", {"few": FEW}).fetchall()

    got = measure("DuckDB: range join (edges not interpolated)", "window", FEW, duck_range)
    np.testing.assert_allclose([float(x[0]) for x in got], want[:FEW], rtol=1e-3)


if __name__ == "__main__":
    main()
