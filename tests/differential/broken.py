# SPDX-License-Identifier: Apache-2.0
"""Queries that are refused: what is said of each should be the same."""

QUERIES = [
    # nothing, or not all
    "", " ", "#", "# only a comment", "(", ")", "(up", "up)", "up{", "up}", "up[", "up]", "up[5m", "up{a=\"b\"", "sum(", "sum(up", "rate(up[5m]",
    "up offset", "up @", "1 +", "+", "up and", "sum by", "sum by (", "sum by (job", "up == on", "up == on(", "up + group_left up",
    # characters and words
    "up{a='b}", "up{a=\"b}", "\"text", "'text", "`text", "up $ up", "up & up", "up | up", "up ! up", "up =! up", "a = b", "up{a b}", "up{a}",
    "up{=\"x\"}", "up{a=}", "up{a=b}", "up{a=\"b\" c=\"d\"}", "up{a=\"b\",,}", "up{,}", "up{1=\"x\"}", "up{a=~\"(\"}", "up{a=~\"[\"}",
    "up{a!~\"*\"}", "{}", "{a=\"\"}", "{a=~\".*\"}", "{a!=\"b\"}", "{a!~\".+\"}", "up{__name__=\"down\"}", "{\"up\",\"down\"}", "{\"up\", __name__=\"x\"}",
    "\"\\xff\"", "\"\\q\"", "up{a=\"\\q\"}", "foo-bar{", "1foo", "0x", "0xzz", "1e", "1_", "1__0", "5m5", "5mm", "1d1w", "up[5]5", "up[m]",
    # durations and modifiers
    "up[0]", "up[0s]", "up[-5m]", "up[5m:0s]", "up[5m:-1s]", "up[5m][5m]", "up[5m:][5m]", "(up)[5m]", "rate(up)[5m]", "1[5m]",
    "\"a\"[5m:]", "up offset 5", "up offset x", "up offset 5m offset 5m", "up @ 1 @ 2", "up @ start", "up @ start(", "up @ foo", "up @ inf",
    "up @ nan", "1 offset 5m", "(1 + 2) offset 5m", "sum(up) offset 5m", "1 @ 5", "up[5m] offset 5m offset 5m", "up[10000000000y]",
    "up offset 10000000000y", "up[5m+]", "up[5m+0s*]", "up[5m/0]", "up[5m%0]", "up[(5m]", "up offset (5m", "up[5m-10m]",
    # types
    "rate(up)", "rate(1)", "rate(\"a\")", "rate(up[5m], 1)", "rate()", "abs(1)", "abs(up[5m])", "abs(\"a\")", "scalar(1)", "vector(up)",
    "sum(1)", "sum(\"a\")", "sum(up[5m])", "-\"a\"", "-up[5m]", "\"a\" + 1", "up + \"a\"", "up[5m] + 1", "up + up[5m]", "1 and 1", "up and 1",
    "1 or up", "up unless \"a\"", "1 == 1", "1 > 2", "up == bool bool 1", "up + bool up", "up and bool up", "up and on(job) group_left up",
    "1 + on(job) 1", "up + on(job) 1", "up * ignoring() 1", "up + on(job) group_left(job) up", "up + on(job,) group_left(a b) up",
    "time(1)", "time(up)", "foo(up)", "nosuch()", "topk(up)", "topk(up, 1)", "topk(1)", "topk(1, 2)", "topk(1, up, 2)", "topk(\"a\", up)",
    "quantile(up)", "quantile(\"a\", up)", "count_values(1, up)", "count_values(up)", "count_values(\"\", up)", "count_values(\"a\", 1)",
    "label_replace(up)", "label_replace(up, \"a\", \"b\", \"c\")", "label_replace(up, \"a\", \"b\", \"c\", 1)",
    "label_replace(up, \"a\", \"b\", \"c\", \"(\")", "label_join(up)", "label_join(up, 1, 2)", "histogram_quantile(up)",
    "histogram_quantile(up, 0.5)", "round(up, up)", "round(up, 1, 2)", "clamp(up)", "clamp(up, 1)", "clamp(up, 1, 2, 3)", "day_of_month(1)",
    "absent(1)", "absent(up[5m])", "absent_over_time(up)", "sum by (job) up", "sum by job (up)", "sum (up) by job", "sum by (job) (up) by (job)",
    "sum by (1) (up)", "sum by (\"a\" \"b\") (up)", "sum without", "sum(up) without", "sum(up, up)", "sum()", "bool 1", "up bool 1", "by (up)",
    "up up", "up 1", "1 up", "1 1", "sum sum", "offset", "on", "{a=\"b\"}[5m] 3", "up{a=\"b\"}{c=\"d\"}", "start(", "start()(", "sort_by_label(up, 1)",
    "info(1)", "info(up, up)", "info(up, 1)", "limitk(up)", "limit_ratio(2)", "limitk(1, 2)", "double_exponential_smoothing(up[5m], 1)",
    "up offset 5m[5m]", "max_over_time(up[5m:1m:1m])", "((((up)", "((((up)))))", "up\n\n  + +\n)", "sum(\n  up{\n", "größe", "up{größe=\"x\"}",
    "up\u00a0+ 1", "\u201cup\u201d", "{\"größe\" \"x\"}", "sum by (größe) (up)",
]

# Since when the original says it as we do; None: it never did.
OTHERWISE = {
    "start(": (3, 12), "start()(": (3, 12),  # functions since then
    "up[5m-10m]": None,  # theirs has the place as offsets of bytes
    "info(up, 1)": (3, 14),  # "unexpected error"
}
WORDS = [("number, duration, step(), or range()", "number or duration"), ("subquery or range selector", "subquery selector")]


def known(query, version):
    if query not in OTHERWISE:
        return False
    since = OTHERWISE[query]
    return since is None or version < since


def as_before(text, version):
    """What we say in the words of that version."""
    if version < (3, 6):
        for ours, theirs in WORDS:
            text = text.replace(ours, theirs)
    return text
