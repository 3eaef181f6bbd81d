// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_rates.h"

#include <math.h>

#define WEIGHT 0.2
#define TOLERANCE 0.3     // a smaller change is not worth a reshard
#define CATCH_UP 0.05     // of the backlog, each second
#define BEHIND_S_MAX 10.0 // further behind: no shard is taken away

static void tick(RemoteRate *rate)
{
    double now = (double)rate->events / (REMOTE_RATES_MS / 1000.0);
    rate->per_s = rate->is_begun ? rate->per_s + WEIGHT * (now - rate->per_s) : now;
    rate->is_begun = true;
    rate->events = 0;
}

void remote_rates_tick(RemoteRates *rates)
{
    tick(&rates->in);
    tick(&rates->dropped);
    tick(&rates->out);
    tick(&rates->busy_ns);
}

int64_t remote_rates_shards(const RemoteRates *rates, RemoteShardsNow now, double *ret_desired)
{
    int64_t clamped = MIN(MAX(now.count, now.min), now.max);
    double out = rates->out.per_s;
    *ret_desired = (double)now.count;
    if (out <= 0)
        return clamped;
    double kept = out / (rates->dropped.per_s + out);
    double busy_s_per_sample = rates->busy_ns.per_s / 1e9 / out;
    double backlog = CATCH_UP * MAX(now.behind_s, 0.0) * rates->in.per_s * kept;
    double desired = busy_s_per_sample * (rates->in.per_s * kept + backlog);
    *ret_desired = desired;
    double count = (double)now.count;
    if (desired >= count * (1 - TOLERANCE) && desired <= count * (1 + TOLERANCE))
        return clamped;
    double whole = ceil(desired);
    if (whole < count && now.behind_s > BEHIND_S_MAX)
        return clamped;
    if (whole >= (double)now.max)
        return now.max;
    return MAX((int64_t)whole, now.min);
}
