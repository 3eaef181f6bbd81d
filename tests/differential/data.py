# SPDX-License-Identifier: Apache-2.0
"""Random series for the differential test: floats of many shapes, classic and native histograms."""
import math
import struct

from harness import _field, _varint

BASE_S = 1_700_000_400  # a whole number of ten minutes
STEPS = 120
STEP_MS = 15_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
# Versions before 3.8 do not add histograms with other bounds.
CUSTOM_BOUNDS = [[0.5, 1, 5, 10]]
BOUNDS = ["0.1", "0.5", "1", "2.5", "5", "10", "+Inf"]


def times(rng):
    """Rising, never on a whole second: what is on the edge of a window differs between versions."""
    jitter = rng.choice([0, 0, 3_000])
    start = rng.choice([0, 0, 0, 40])
    for i in range(start, STEPS):
        if rng.random() < 0.02:
            continue
        t = BASE_S * 1000 + i * STEP_MS + 337 + rng.randint(0, jitter)
        yield t + (t % 500 == 0)


def float_samples(rng, kind):
    value, out = float(rng.randint(0, 50)), []
    for t in times(rng):
        if kind == "counter":
            value = 0.0 if rng.random() < 0.02 else value + rng.randint(0, 30)
        elif kind == "gauge":
            value += rng.choice([-3.5, -1, 0, 0, 0.25, 1, 2.5, 10])
        elif kind == "constant":
            pass
        elif kind == "odd":
            value = rng.choice([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -2.0, 1e300, 1e-300])
        if rng.random() < 0.01:
            out.append((t, STALE))
            continue
        out.append((t, value))
    return out


def classic_series(rng, name, labels):
    counts, out = [0] * len(BOUNDS), [[] for _ in BOUNDS]
    for t in times(rng):
        if rng.random() < 0.02:
            counts = [0] * len(BOUNDS)
        for _ in range(rng.randint(0, 6)):
            first = rng.randrange(len(BOUNDS))
            for b in range(first, len(BOUNDS)):
                counts[b] += 1
        for b in range(len(BOUNDS)):
            out[b].append((t, float(counts[b])))
    return [({"__name__": name + "_bucket", "le": le, **labels}, samples)
            for le, samples in zip(BOUNDS, out)]


def float_series(rng):
    series = []
    for job in ("api", "db", "web"):
        for instance in ("a:1", "b:2", "c:3"):
            labels = {"job": job, "instance": instance}
            for code in ("200", "404", "500"):
                if rng.random() < 0.85:
                    series.append(({"__name__": "requests_total", "code": code, **labels},
                                   float_samples(rng, "counter")))
            series.append(({"__name__": "temperature", **labels}, float_samples(rng, "gauge")))
            if rng.random() < 0.7:
                series.append(({"__name__": "limit", **labels}, float_samples(rng, "constant")))
            if job != "web":
                series.append(({"__name__": "strange", **labels}, float_samples(rng, "odd")))
            series += classic_series(rng, "latency", labels)
        series.append(({"__name__": "job_info", "job": job, "team": "t" + job[0], "zone": ""},
                       float_samples(rng, "constant")))
        for instance in ("a:1", "b:2"):
            series.append(({"__name__": "target_info", "job": job, "instance": instance,
                            "version": rng.choice(["1.0", "1.1", "2.1"])}, float_samples(rng, "constant")))
    return series


def utf8_series(rng):
    """Names that a version before 3.0 does not take."""
    return [({"__name__": "disk.größe", "job": job, "dev.ice": device}, float_samples(rng, "gauge"))
            for job in ("api", "db") for device in ("sda", "ü")]


# ---- native histograms: prometheus.Histogram of remote write 1.0 ---------------------------------


def _zigzag(n):
    return _varint(n << 1 if n >= 0 else (-n << 1) - 1)


def _double(number, value):
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _spans(number, buckets):
    out, previous = b"", None
    runs = []
    for index in sorted(buckets):
        if runs and index == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([index, 1])
    for index, length in runs:
        offset = index if previous is None else index - previous
        previous = index + length
        out += _field(number, b"\x08" + _zigzag(offset) + b"\x10" + _varint(length))
    return out


def _counts(deltas_field, floats_field, buckets, is_float):
    values = [buckets[i] for i in sorted(buckets)]
    if not values:
        return b""
    if is_float:
        return _field(floats_field, b"".join(struct.pack("<d", v) for v in values))
    deltas = [b - a for a, b in zip([0] + values, values)]
    return _field(deltas_field, b"".join(_zigzag(d) for d in deltas))


def encode_histogram(h, t_ms):
    """`h`: schema, float, gauge, zero, sum, positive, negative, bounds."""
    count = h["zero"] + sum(h["positive"].values()) + sum(h["negative"].values())
    is_float = h["float"]
    out = _double(2, count) if is_float else b"\x08" + _varint(count)
    out += _double(3, h["sum"]) + b"\x20" + _zigzag(h["schema"]) + _double(5, h["threshold"])
    out += _double(7, h["zero"]) if is_float else b"\x30" + _varint(h["zero"])
    out += _spans(8, h["negative"]) + _counts(9, 10, h["negative"], is_float)
    out += _spans(11, h["positive"]) + _counts(12, 13, h["positive"], is_float)
    out += b"\x70" + _varint(3 if h["gauge"] else 0) + b"\x78" + _varint(t_ms)
    if h["bounds"]:
        out += _field(16, b"".join(struct.pack("<d", b) for b in h["bounds"]))
    return out


def _empty(rng, custom, is_float, gauge):
    bounds = rng.choice(CUSTOM_BOUNDS) if custom else []
    return {"schema": -53 if custom else rng.choice([0, 1, 3]), "float": is_float, "gauge": gauge,
            "zero": 0, "sum": 0.0, "positive": {}, "negative": {}, "bounds": bounds,
            "threshold": 0.0 if custom else rng.choice([0.0, 0.001])}


def histogram_samples(rng, custom, at_ms=None):
    is_float, gauge = rng.random() < 0.4, rng.random() < 0.25
    h, out = _empty(rng, custom, is_float, gauge), []
    for t in at_ms or times(rng):
        if rng.random() < 0.03:
            h = _empty(rng, custom, is_float, gauge)
        for _ in range(rng.randint(0, 4)):
            many = rng.randint(1, 5) * (0.5 if is_float else 1)
            if custom:
                side, index = "positive", rng.randint(0, len(h["bounds"]))
            else:
                side, index = rng.choice(["positive", "positive", "negative"]), rng.randint(-6, 12)
                if rng.random() < 0.2:
                    h["zero"] += many
                    continue
            h[side][index] = h[side].get(index, 0) + many
            h["sum"] += many * rng.randint(0, 8) * (1 if side == "positive" else -1)
        out.append(encode_histogram(h, t))
    return out


def histogram_series(rng):
    series = []
    for job in ("api", "db"):
        for instance in ("a:1", "b:2", "c:3"):
            labels = {"job": job, "instance": instance}
            series.append(({"__name__": "duration", **labels}, histogram_samples(rng, False)))
            if rng.random() < 0.7:
                series.append(({"__name__": "size", **labels}, histogram_samples(rng, True)))
    return series


def _time_series(labels, floats, histograms):
    one = bytearray()
    for name, value in sorted(labels.items()):
        one += _field(1, _field(1, name.encode()) + _field(2, value.encode()))
    for t_ms, value in floats:
        one += _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(t_ms))
    for sample in histograms:
        one += _field(4, sample)
    return _field(1, bytes(one))


def histogram_request(series):
    return b"".join(_time_series(labels, [], samples) for labels, samples in series)


def mixed_requests(rng):
    """Series that are floats, then histograms, then floats again: a request each, as before 3.8 one commit takes floats first."""
    bodies = [b"", b"", b""]
    for job in ("api", "db"):
        labels = {"__name__": "mixed", "job": job, "instance": "a:1"}
        at_ms = list(times(rng))
        cut = sorted(rng.sample(range(10, len(at_ms) - 10), 2))
        floats = [(t, float(rng.randint(0, 20))) for t in at_ms]
        bodies[0] += _time_series(labels, floats[:cut[0]], [])
        bodies[1] += _time_series(labels, [], histogram_samples(rng, False, at_ms[cut[0]:cut[1]]))
        bodies[2] += _time_series(labels, floats[cut[1]:], [])
    return bodies
