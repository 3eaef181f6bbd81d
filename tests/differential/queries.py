# SPDX-License-Identifier: Apache-2.0
"""Random valid queries, by type, limited to what a version of Prometheus knows."""

FLOATS = ["requests_total", "temperature", "limit", "strange", "latency_bucket", "job_info"]
UTF8 = '{"disk.größe"%s}'  # a name that stands in quotes
FINITE = ["requests_total", "temperature", "limit", "latency_bucket"]
HISTOGRAMS = ["duration", "size"]
LABELS = ["job", "instance", "code", "le", "team", "nothing"]
UTF8_LABEL = "dev.ice"
VALUES = {"job": ["api", "db", "web"], "instance": ["a:1", "b:2", "c:3"], "code": ["200", "404", "500"],
          "le": ["0.5", "+Inf"], "team": ["ta", "td"], "nothing": ["", "x"], UTF8_LABEL: ["sda", "ü", ""]}
RANGES = ["30s", "1m", "90s", "2m", "5m", "10m"]
MATH = ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "deg", "rad", "atan",
        "asinh", "tanh", "acos"]
DATES = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"]
OVER_TIME = ["avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
             "last_over_time", "present_over_time", "changes",
             "resets", "delta", "idelta", "irate", "deriv"]
RATES = ["rate", "increase"]
ANCHORED = ["rate", "increase", "delta", "changes", "resets"]
SMOOTHED = ["rate", "increase", "delta"]
DURATIONS = ["(1m + 30s)", "(2m * 1.5)", "(5m - 1m)", "(10m / 4)", "((1m + 1m) % 90)", "(2 ^ 5)"]
NEWER_DURATIONS = ["(step() + 1m)", "max_of(step(), 30s)", "min_of(range() + 15s, 5m)", "(1m + range())"]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group"]


def quoted(label):
    return f'"{label}"' if "." in label else label


class Generator:
    def __init__(self, rng, version, histograms, features=()):
        self.rng, self.version, self.histograms = rng, version, histograms
        self.extended = "promql-extended-range-selectors" in features
        self.fills = "promql-binop-fill-modifiers" in features
        self.starts = "use-start-timestamps" in features
        self.since_3 = version >= (3, 0)
        # Before 3.0 deviations took infinity and NaN otherwise.
        self.aggregations = AGGREGATIONS + ["stddev", "stdvar"] * self.since_3
        self.names = FLOATS + ["target_info"] * self.since_3
        self.label_names = LABELS + [UTF8_LABEL] * self.since_3
        self.durations = version >= (3, 5)

    def pick(self, *choices):
        return self.rng.choice(choices)()

    # -- pieces --

    def number(self):
        return self.rng.choice(["0", "1", "2", "-1", "0.5", "0.9", "3.25", "10", "1e3", "Inf", "NaN", "-Inf"])

    def matcher(self, label):
        value = self.rng.choice(VALUES[label])
        kind = self.rng.choice(["=", "!=", "=~", "!~"])
        if "~" in kind:
            value = self.rng.choice([value.replace("+", "[+]"), ".*", ".+", "a.*|d.*", "[a-d].*", ""])
        return f'{quoted(label)}{kind}"{value}"'

    def duration(self, *plain):
        """Of those, or one that is calculated."""
        if self.durations and self.rng.random() < 0.06:
            return self.rng.choice(DURATIONS + NEWER_DURATIONS * (self.version >= (3, 14)))
        return self.rng.choice(plain)

    def modifiers(self):
        out = ""
        if self.rng.random() < 0.1:
            out += " offset " + self.duration("1m", "30s", "-1m", "5m")
        if self.rng.random() < 0.06:
            out += " @ " + self.rng.choice(["1700001000", "1700001200.500", "start()", "end()"])
        return out

    def name(self):
        if self.histograms and self.rng.random() < 0.35:
            return self.rng.choice(HISTOGRAMS + ["mixed"])
        return self.rng.choice(self.names)

    def braces(self, name=None):
        count = self.rng.choice([0, 0, 1, 1, 2])
        matchers = ",".join(self.matcher(label) for label in self.rng.sample(self.label_names, count))
        if not name and self.since_3 and self.rng.random() < 0.05:
            return UTF8 % ("," + matchers if matchers else "")
        name = name or self.name()
        if self.rng.random() < 0.05:
            return '{__name__=~"%s|temperature"%s}' % (name, "," + matchers if matchers else "")
        return name + ("{" + matchers + "}" if matchers else "")

    def selector(self, name=None):
        smoothed = " smoothed" if self.extended and self.rng.random() < 0.08 else ""
        return self.braces(name) + smoothed + self.modifiers()

    def matrix(self, depth, name=None):
        if self.since_3 and depth > 0 and self.rng.random() < 0.25:
            step = self.rng.choice(["", "30s", "17s", "1m"])
            return f"({self.vector(depth - 1)})[{self.duration(*RANGES)}:{step}]" + self.modifiers()
        return f"{self.braces(name)}[{self.duration(*RANGES)}]" + self.modifiers()

    def labels(self):
        return "(" + ", ".join(quoted(label) for label in self.rng.sample(self.label_names, self.rng.randint(0, 2))) + ")"

    # -- by type --

    def scalar(self, depth):
        if depth <= 0 or self.rng.random() < 0.6:
            return self.number()
        return self.pick(lambda: f"scalar({self.vector(depth - 1)})", lambda: "(time() - 1700000400)", lambda: "pi()",
                         lambda: f"({self.scalar(depth - 1)} {self.arithmetic()} {self.scalar(depth - 1)})",
                         lambda: f"({self.scalar(depth - 1)} {self.comparison()} bool {self.scalar(depth - 1)})",
                         lambda: f"-{self.scalar(depth - 1)}")

    def arithmetic(self):
        return self.rng.choice(["+", "-", "*", "/", "%", "^"] + ["atan2"] * self.since_3)  # kept the name before

    def comparison(self):
        return self.rng.choice(["==", "!=", "<", ">", "<=", ">="])

    def operator(self):
        if self.rng.random() < 0.6:
            return self.arithmetic()
        return self.comparison() + self.rng.choice(["", " bool"])

    def matching(self):
        kind = self.rng.random()
        if kind < 0.4:
            return ""
        out = self.rng.choice([" on", " ignoring"]) + self.labels()
        if kind > 0.7:
            out += self.rng.choice([" group_left", " group_right"]) + self.rng.choice(["", "()", "(team)", "(code)"])
        return out

    def fill(self):
        if not self.fills or self.rng.random() < 0.5:
            return ""
        return self.rng.choice([" fill(%s)", " fill_left(%s)", " fill_right(%s)", " fill_left(1) fill_right(%s)"]) % self.number()

    def binary(self, depth):
        one, other = self.vector(depth - 1), self.vector(depth - 1)
        kind = self.rng.random()
        if kind < 0.2:
            return f"({one} {self.operator()} {self.scalar(depth - 1)})"
        if kind < 0.35:
            return f"({self.scalar(depth - 1)} {self.operator()} {one})"
        if kind < 0.55:
            on = self.rng.choice(["", " on" + self.labels(), " ignoring" + self.labels()])
            return f"({one} {self.rng.choice(['and', 'or', 'unless'])}{on} {other})"
        if kind < 0.75:
            # The original adds in changing order: a sum is not always equal to itself.
            summed = any(word in one for word in ("std", "avg", "sum"))
            return f"({one} {'+' if summed else self.operator()} {one})"
        if kind < 0.82:
            added = f"{self.rng.choice(['count', 'max', 'min'])}{self.rng.choice(['', ' by (job)'])} ({one})"
            if kind >= 0.78:
                return f"({added} or {one})"
            summed = any(word in one for word in ("std", "avg", "sum"))
            return f"({added} {'+' if summed else self.operator()} on (job) group_right {one})"
        if kind < 0.88:
            windows, names = self.matrix(depth - 1), ["max", "min", "count", "last", "present"]
            return f"({self.rng.choice(names)}_over_time({windows}) {self.operator()} {self.rng.choice(names)}_over_time({windows}))"
        return f"({one} {self.operator()}{self.matching()}{self.fill()} {other})"

    def aggregation(self, depth):
        by = self.rng.choice(["", " by " + self.labels(), " without " + self.labels()])
        inner = self.vector(depth - 1)
        kind = self.rng.random()
        if kind < 0.7:
            return f"{self.rng.choice(self.aggregations)}{by} ({inner})"
        if kind < 0.8:
            return f"quantile{by} ({self.scalar(0)}, {inner})"
        if kind < 0.83 and self.since_3:
            return f"limit_ratio{by} ({self.rng.choice(['0.5', '-0.5', '0.1', '-0.3', '1'])}, {inner})"
        if kind < 0.87:
            return f'count_values{by} ("value", clamp(round({inner}, 0.5), -1000, 1000))'  # not the last bits of a number
        # Which of equal values is taken depends on the order in storage, their sum does not.
        best = f"{self.rng.choice(['topk', 'bottomk'])}{by} ({self.rng.randint(0, 4)}, {self.selector('temperature')})"
        return f"{self.rng.choice(['sum', 'count'])}{by} ({best})"

    def of_histogram(self, depth):
        rate = "irate" if self.version < (3, 6) else "rate"
        inner = self.pick(lambda: self.selector(self.rng.choice(HISTOGRAMS)),
                          lambda: f"{rate}({self.rng.choice(HISTOGRAMS)}[{self.rng.choice(RANGES)}])",
                          lambda: f"sum by (job) ({self.selector(self.rng.choice(HISTOGRAMS))})",
                          lambda: self.vector(depth - 1))
        low, high = self.number(), self.number()
        return self.pick(lambda: f"histogram_count({inner})", lambda: f"histogram_sum({inner})",
                         lambda: f"histogram_avg({inner})", lambda: f"histogram_stddev({inner})",
                         lambda: f"histogram_stdvar({inner})",
                         lambda: f"histogram_quantile({self.scalar(0)}, {inner})",
                         lambda: f"histogram_fraction({low}, {high}, {inner})")

    def over_time(self, depth):
        # How rates of histograms are extrapolated has changed in 3.6.
        if self.since_3 and self.version < (3, 6) and self.rng.random() < 0.3:
            return f"{self.rng.choice(RATES)}({self.matrix(0, self.rng.choice(FLOATS))})"
        known = OVER_TIME + ["stddev_over_time", "stdvar_over_time"] * self.since_3
        known = known + RATES * (self.version >= (3, 6))
        return f"{self.rng.choice(known)}({self.matrix(depth - 1)})"

    def extended_range(self):
        names, word = self.rng.choice([(ANCHORED, "anchored"), (SMOOTHED, "smoothed")])
        return f"{self.rng.choice(names)}({self.braces()}[{self.duration(*RANGES)}] {word}{self.modifiers()})"

    def newer_calls(self, depth):
        """Of 3.14."""
        return [
            lambda: f"mad_over_time({self.matrix(depth - 1)})",  # 0 for NaN before
            lambda: f"first_over_time({self.matrix(depth - 1)})",
            lambda: f"(ts_of_first_over_time({self.matrix(depth - 1)}) - 1700000400)",
            lambda: f"sort_by_label_desc({self.vector(depth - 1)}, \"code\", \"job\")",
            lambda: f'histogram_quantiles({self.vector(depth - 1)}, "q", {self.scalar(0)}, 0.9)',
            lambda: f'histogram_quantiles({self.selector(self.rng.choice(HISTOGRAMS))}, "q", 0.5, {self.scalar(0)})',
            lambda: f"vector({self.rng.choice(['start()', 'end()', 'step()', 'range()', 'max_of(step(), 20)'])} - 1)",
        ]

    def call(self, depth):
        choices = [
            lambda: f"{self.rng.choice(MATH)}({self.vector(depth - 1)})",
            lambda: f"{self.rng.choice(['sin', 'cos'])}(clamp({self.vector(depth - 1)}, -1e3, 1e3))",
            lambda: f"{self.rng.choice(DATES)}({self.vector(depth - 1)})",
            lambda: self.over_time(depth),
            lambda: self.over_time(depth),
            lambda: self.over_time(depth),
            lambda: f"quantile_over_time({self.scalar(0)}, {self.matrix(depth - 1)})",
            lambda: f"absent({self.vector(depth - 1)})",
            lambda: f"absent_over_time({self.matrix(depth - 1)})",
            lambda: f"clamp({self.vector(depth - 1)}, {self.scalar(0)}, {self.scalar(0)})",
            lambda: f"clamp_min({self.vector(depth - 1)}, {self.scalar(0)})",
            lambda: f"clamp_max({self.vector(depth - 1)}, {self.scalar(0)})",
            lambda: f"round({self.vector(depth - 1)}, {self.rng.choice(['1', '0.1', '5', '0'])})",
            lambda: f"(timestamp({self.vector(depth - 1)}) - 1700000400)",  # stddev of large numbers hangs on order
            lambda: f"vector({self.scalar(depth - 1)})",
            lambda: f"sort({self.vector(depth - 1)})",
            lambda: f"histogram_quantile({self.scalar(0)}, {self.selector('latency_bucket')})",
            lambda: f'label_replace({self.vector(depth - 1)}, "team", "x$1", "job", "(.).*")',
            lambda: f'label_join({self.vector(depth - 1)}, "code", "-", "job", "instance")',
        ]
        if self.since_3:  # extrapolation and the @ modifier were others before
            choices += [
                lambda: f"predict_linear({self.matrix(depth - 1)}, {self.scalar(0)})",
                lambda: f"histogram_quantile({self.scalar(0)}, sum by (le, job) (rate(latency_bucket[5m])))",
            ]
        if self.histograms:
            choices += [lambda: self.of_histogram(depth)] * 4
        if self.version >= (3, 5):
            choices += [
                lambda: f"(ts_of_{self.rng.choice(['min', 'max', 'last'])}_over_time({self.matrix(depth - 1)}) - 1700000400)",
                lambda: f"double_exponential_smoothing({self.matrix(depth - 1)}, 0.5, 0.3)",
                lambda: f"sort_by_label({self.vector(depth - 1)}, \"job\", \"instance\")",
            ]
        if self.since_3:
            choices += [
                lambda: f"info({self.rng.choice(['requests_total', 'temperature', 'limit'])})",
                lambda: f"info({self.rng.choice(FLOATS)}, {{version=~\"{self.rng.choice(['.+', '1.*', '', '2.1'])}\"}})",
                lambda: f'label_replace({self.vector(depth - 1)}, "{UTF8_LABEL}", "$1", "instance", "(.):.*")',
                lambda: f'(temperature unless {self.vector(depth - 1)})',
            ]
        if self.extended:
            choices += [self.extended_range] * 3
        if self.starts:
            choices += [lambda: f"start_timestamp({self.vector(depth - 1)})"]
        if self.version >= (3, 14):
            choices += self.newer_calls(depth)
        elif self.version >= (3, 5):
            choices += [lambda: f"mad_over_time({self.matrix(0, self.rng.choice(FINITE))})"]
        return self.rng.choice(choices)()

    def vector(self, depth):
        if depth <= 0 or self.rng.random() < 0.2:
            return self.selector()
        kind = self.rng.random()
        if kind < 0.45:
            return self.call(depth)
        if kind < 0.7:
            return self.aggregation(depth)
        if kind < 0.95:
            return self.binary(depth)
        return f"-({self.vector(depth - 1)})"

    def query(self):
        depth = self.rng.choice([1, 2, 2, 3, 3, 4])
        return self.scalar(depth) if self.rng.random() < 0.04 else self.vector(depth)
