# SPDX-License-Identifier: Apache-2.0
"""Are two answers of the query API the same?"""
import math
import re

RELATIVE = 1e-9  # sums in another order, functions of another libm


def same_number(a, b):
    if a == b:
        return True
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= RELATIVE * max(abs(x), abs(y), 1e-6)


def buckets_of(histogram):
    """Without those that were 0 times Inf or NaN: which empty buckets a sample has depends on where its chunk began."""
    return [b for b in histogram.get("buckets") or [] if b[3] != "NaN"]


def same_histogram(a, b):
    buckets_a, buckets_b = buckets_of(a), buckets_of(b)
    return (same_number(a["count"], b["count"]) and same_number(a["sum"], b["sum"])
            and len(buckets_a) == len(buckets_b)
            and all(x[0] == y[0] and all(same_number(p, q) for p, q in zip(x[1:], y[1:]))
                    for x, y in zip(buckets_a, buckets_b)))


def points(series, one, many):
    return [series[one]] if one in series else series.get(many, [])


def difference_of_series(a, b):
    for one, many, same in (("value", "values", same_number), ("histogram", "histograms", same_histogram)):
        x, y = points(a, one, many), points(b, one, many)
        if [p[0] for p in x] != [p[0] for p in y]:
            return f"{many} at {[p[0] for p in x]} and at {[p[0] for p in y]}"
        for p, q in zip(x, y):
            if not same(p[1], q[1]):
                return f"at {p[0]}: {p[1]} and {q[1]}"
    return None


def by_labels(result):
    return {tuple(sorted(series["metric"].items())): series for series in result}


def difference(ours, theirs):
    """None, or what is not the same, ours first."""
    if ours["status"] != theirs["status"]:
        return f"{ours.get('error', 'success')} and {theirs.get('error', 'success')}"
    if ours["status"] == "error":
        return None if ours["errorType"] == theirs["errorType"] else f"{ours} and {theirs}"
    a, b = ours["data"], theirs["data"]
    if a["resultType"] != b["resultType"]:
        return f"{a['resultType']} and {b['resultType']}"
    if a["resultType"] in ("scalar", "string"):
        return None if same_number(a["result"][1], b["result"][1]) else f"{a['result']} and {b['result']}"
    one, other = by_labels(a["result"]), by_labels(b["result"])
    if one.keys() != other.keys():
        return f"only ours: {sorted(one.keys() - other.keys())[:3]}, only theirs: {sorted(other.keys() - one.keys())[:3]}"
    for labels, series in one.items():
        found = difference_of_series(series, other[labels])
        if found:
            return f"{dict(labels)}: {found}"
    return None


def difference_of_stats(ours, theirs):
    """None, or which count of samples is not the same. What only one knows does not count, nor what each holds at once."""
    if "stats" not in ours.get("data", {}) or "stats" not in theirs.get("data", {}):
        return None
    one, other = ours["data"]["stats"]["samples"], theirs["data"]["stats"]["samples"]
    for key in one.keys() & other.keys() - {"peakSamples"}:
        if one[key] != other[key]:
            return f"{key}: {one[key]} and {other[key]}"
    return None


def sizes_are_close(ours, theirs):
    if "stats" not in ours["data"] or "stats" not in theirs["data"]:
        return False
    one, other = (answer["data"]["stats"]["samples"] for answer in (ours, theirs))
    totals = [(one[key], other[key]) for key in ("totalQueryableSamples", "samplesRead") if key in one and key in other]
    return any(a != b for a, b in totals) and all(abs(a - b) <= 0.1 * a for a, b in totals)


# What only newer versions say: a piece of the text and the version.
NEWER_NOTES = [("sort is ineffective for range queries", (3, 12)), ("conflicting counter resets", (3, 6))]


def note(text):
    """Without its place in the query, and without a metric name that versions before 3.14 gave away."""
    text = text.split(" (")[0]
    if "for binary operator" in text:  # of several they tell the last
        return text.split(" for binary operator")[0]
    text = text.replace(' or "histogram", got', ", got")  # since 3.8
    return text.split(" for metric name")[0] if "malformed value" in text else text


def notes(answer, version):
    """The warnings and infos that a peer of that version would give, too."""
    return {note(text) for text in answer.get("warnings", []) + answer.get("infos", [])
            if not any(piece in text and version < since for piece, since in NEWER_NOTES)}


def errors(answer):
    return answer.get("error", "")


# Why answers may differ: what, before which version of the peer (None: any), and how such a query or answer is known. Only looked at
# when answers differ. docs/differences.md says more of each.
KNOWN = [
    ("buckets lost in statistics of a - b", (3, 8),
     lambda query, ours, theirs: re.search(r"histogram_(count|sum|avg)\(", query) and re.search("size|duration", query)),
    ("histogram_fraction of classic buckets", (3, 8), lambda query, ours, theirs: "histogram_fraction(" in query),
    ("a comparison told of double matches it dropped", (3, 10),
     lambda query, ours, theirs: "multiple matches for labels" in errors(ours) and not errors(theirs)),
    ("unary minus saw collisions across time", (3, 10),
     lambda query, ours, theirs: "same labelset" in errors(theirs) and not errors(ours) and "-(" in query),
    ("label_join and label_replace saw collisions across time", (3, 9),
     lambda query, ours, theirs: "same labelset" in errors(theirs) and not errors(ours) and re.search(r"label_(join|replace)\(", query)),
    ("histograms equal but for empty buckets", None,
     lambda query, ours, theirs: "changes(" in query and re.search("size|duration|mixed|__name__", query)),
    ("sizes of histograms with empty buckets", None,
     lambda query, ours, theirs: not difference(ours, theirs) and re.search("size|duration|mixed|__name__", query)
     and sizes_are_close(ours, theirs)),
    ("sizes of histograms whose buckets do not matter", (3, 8),
     lambda query, ours, theirs: not difference(ours, theirs) and re.search(r"histogram_(count|sum|avg)\(", query)),
    ("info() of a range took labels of other series", (3, 14),
     lambda query, ours, theirs: "info(" in query and (ours.get("data", {}).get("resultType") == "matrix" or ":" in query)),
    ("durations that are no number", (3, 14), lambda query, ours, theirs: "duration is NaN" in errors(ours)),
    ("timestamp() of a selector with offset and @", None,
     lambda query, ours, theirs: re.search(r"timestamp\(.* offset .*@", query)),
    ("a float and a histogram with the same labels at once", None,
     lambda query, ours, theirs: "same labelset" in errors(ours) and not errors(theirs)
     and re.search(r"(duration|size|mixed)\|temperature", query)),
    ("sort in a subquery of a single step", None,
     lambda query, ours, theirs: not difference(ours, theirs) and "sort" in query and ":" in query
     and "sort is ineffective" in str(theirs.get("warnings", [])) and "sort is ineffective" not in str(ours.get("warnings", []))),
    ("only the last note of a binary operator", None,
     lambda query, ours, theirs: not difference(ours, theirs)
     and "for binary operator" in " ".join(ours.get("warnings", []) + ours.get("infos", []))),
    ("a histogram times a negative number is a gauge", (3, 8),
     lambda query, ours, theirs: not difference(ours, theirs) and "-" in query
     and "not a gauge" in str(theirs.get("warnings", [])) and "not a gauge" not in str(ours.get("warnings", []))),
    ("the last bit of a power or of a function, of which a remainder is all", None,
     lambda query, ours, theirs: re.search(r"\^|(exp|ln|log2|log10|sin|cos|tanh|a(cos|sinh|tan2?))\b", query) and "%" in query
     and not errors(ours) and not errors(theirs)),
    ("infinite histograms in avg", (3, 9),
     lambda query, ours, theirs: "avg" in query and "Inf" in str(ours) + str(theirs) and "NaN" in str(ours) + str(theirs)),
]


def known(query, ours, theirs, version):
    """The name of a known reason for a difference, or None."""
    for name, before, applies in KNOWN:
        if (before is None or version < before) and applies(query, ours, theirs):
            return "known: " + name
    return None
