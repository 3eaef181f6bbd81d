// SPDX-License-Identifier: Apache-2.0
// An engine in memory that tests can stop, and two instances on it.
#include "alertmanager/am_shared.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/test.h"

#define LEASE_MS 60000      // longer than any stall of a busy machine
#define SHORT_LEASE_MS 3000 // where the test waits for its end or for heartbeats
#define POLL_MS 20
#define ROWS_MAX 64
#define IDS_MAX 16
#define DEADLINE_NS (INT64_C(60) * 1000000000)

typedef struct FakeRow {
    char key[40], body[40], owner[AM_SHARED_ID_BYTES];
    int64_t at_ns;
} FakeRow;

typedef struct FakeInstance {
    char id[AM_SHARED_ID_BYTES], name[20];
    int64_t until_ns;
} FakeInstance;

// One world of all engines of a test.
static struct {
    Lock lock;
    FakeRow rows[AM_STORE_TABLES][ROWS_MAX];
    int counts[AM_STORE_TABLES];
    FakeInstance instances[IDS_MAX];
    int instance_count;
    int64_t lease_ms; // of who starts in it
    _Atomic int is_away, no_beats, begun, ended;
} world;

struct AmEngine {
    int unused;
};

static int64_t now_ns(void)
{
    return clock_mono_ns(&clock_system);
}

static bool is_there(Error *err)
{
    return !world.is_away || error_set(err, ERR_UNAVAILABLE, "away");
}

static void copy_text(char *to, size_t size, Str text)
{
    size_t len = MIN(text.len, size - 1);
    if (len)
        memcpy(to, text.ptr, len);
    to[len] = 0;
}

static FakeRow *find_row(AmStoreTable table, Str key, bool make)
{
    for (int i = 0; i < world.counts[table]; i++)
        if (str_is(key, world.rows[table][i].key))
            return &world.rows[table][i];
    if (!make || world.counts[table] == ROWS_MAX)
        return NULL;
    FakeRow *row = &world.rows[table][world.counts[table]++];
    *row = (FakeRow){0};
    copy_text(row->key, sizeof row->key, key);
    return row;
}

static FakeInstance *find_instance(Str id)
{
    for (int i = 0; i < world.instance_count; i++)
        if (str_is(id, world.instances[i].id))
            return &world.instances[i];
    return NULL;
}

static bool is_alive(const char *id)
{
    const FakeInstance *instance = id[0] ? find_instance(str_from_c(id)) : NULL;
    return instance && instance->until_ns > now_ns();
}

static bool fake_open(Str url, AmEngine **ret_engine, Error *err)
{
    static AmEngine engine;
    *ret_engine = &engine;
    return url.len != 0 || error_set(err, ERR_INVALID, "no URL");
}

static void fake_close(AmEngine *engine)
{
    (void)engine;
}

static bool fake_connect(AmEngine *engine, Error *err)
{
    (void)engine;
    return is_there(err);
}

static bool fake_beat(AmEngine *engine, const AmSelf *self, bool *ret_held, Arena *arena,
                      AmMember **ret_members, size_t *ret_count, Error *err)
{
    (void)engine;
    if (world.no_beats || !is_there(err))
        return error_set(err, ERR_UNAVAILABLE, "away");
    lock_take(&world.lock);
    FakeInstance *instance = find_instance(self->id);
    *ret_held = !instance || instance->until_ns > now_ns();
    if (!instance) {
        instance = &world.instances[world.instance_count++];
        copy_text(instance->id, sizeof instance->id, self->id);
        copy_text(instance->name, sizeof instance->name, self->name);
    }
    if (*ret_held)
        instance->until_ns = now_ns() + self->lease_ms * 1000000;
    *ret_members = ARENA_ARRAY(arena, AmMember, IDS_MAX);
    *ret_count = 0;
    for (int i = 0; i < world.instance_count; i++)
        if (is_alive(world.instances[i].id))
            (*ret_members)[(*ret_count)++] =
                (AmMember){arena_str(arena, str_from_c(world.instances[i].name)), S("a"), true};
    lock_give(&world.lock);
    return true;
}

static bool fake_leave(AmEngine *engine, const AmSelf *self, Error *err)
{
    (void)engine;
    lock_take(&world.lock);
    FakeInstance *instance = find_instance(self->id);
    if (instance)
        instance->until_ns = 0;
    lock_give(&world.lock);
    return is_there(err);
}

static bool fake_fetch(AmEngine *engine, AmStoreTable table,
                       void (*row)(void *arg, const AmRow *row), void *arg, Error *err)
{
    (void)engine;
    FakeRow copies[ROWS_MAX];
    if (!is_there(err))
        return false;
    lock_take(&world.lock);
    int count = world.counts[table];
    memcpy(copies, world.rows[table], sizeof copies);
    lock_give(&world.lock);
    for (int i = 0; i < count; i++)
        if (copies[i].at_ns)
            row(arg, &(AmRow){str_from_c(copies[i].key), str_from_c(copies[i].body),
                              copies[i].at_ns, INT64_MAX});
    return true;
}

static bool fake_write(AmEngine *engine, AmStoreTable table, const AmRow *row, Str owner,
                       Error *err)
{
    (void)engine;
    if (!is_there(err))
        return false;
    if (str_is(row->body, "bad"))
        return error_set(err, ERR_INVALID, "bad row");
    lock_take(&world.lock);
    FakeRow *known = find_row(table, row->key, row->body.len != 0);
    bool owns = known && owner.len && str_is(owner, known->owner);
    if (known && row->body.len && (owns || known->at_ns < row->at_ns)) {
        known->at_ns = row->at_ns;
        copy_text(known->body, sizeof known->body, row->body);
    }
    if (owns)
        known->owner[0] = 0;
    lock_give(&world.lock);
    return true;
}

// Each second one cannot be sent: both ways come to the same.
static bool fake_begin_write(AmEngine *engine, const AmRow *row, Str owner)
{
    Error ignored;
    world.begun++;
    return world.begun % 2 && fake_write(engine, AM_STORE_LOG, row, owner, &ignored);
}

static bool fake_end_write(AmEngine *engine, Error *err)
{
    (void)engine;
    world.ended++;
    return is_there(err);
}

static bool fake_claim(AmEngine *engine, const AmSelf *self, Str key, int64_t seen_ns, Arena *arena,
                       AmVerdict *ret_verdict, AmRow *ret_row, Error *err)
{
    Str id = self->id;
    (void)engine;
    if (!is_there(err))
        return false;
    lock_take(&world.lock);
    FakeRow *row = find_row(AM_STORE_LOG, key, true);
    if (row->at_ns > seen_ns) {
        *ret_verdict = AM_CLAIM_STALE;
        *ret_row = (AmRow){arena_str(arena, key), arena_str(arena, str_from_c(row->body)),
                           row->at_ns, INT64_MAX};
    } else if (is_alive(row->owner) && !str_is(id, row->owner)) {
        *ret_verdict = AM_CLAIM_BUSY;
    } else {
        *ret_verdict = AM_CLAIM_GRANTED;
        copy_text(row->owner, sizeof row->owner, id);
    }
    lock_give(&world.lock);
    return true;
}

static bool fake_collect(AmEngine *engine, int64_t at_ns, Error *err)
{
    (void)engine, (void)at_ns, (void)err;
    return true;
}

static const AmEngineKind fake = {
    .name = "fake",
    .schemes = {"fake", NULL},
    .open = fake_open,
    .close = fake_close,
    .connect = fake_connect,
    .beat = fake_beat,
    .leave = fake_leave,
    .fetch = fake_fetch,
    .write = fake_write,
    .begin_write = fake_begin_write,
    .end_write = fake_end_write,
    .claim = fake_claim,
    .collect = fake_collect,
};

// ---- instances ----

typedef struct Instance {
    AmShared *shared;
    Loop *loop;
    _Atomic int rows, answers;
    AmClaim *claim; // the last answered
} Instance;

static void on_row(void *arg, AmStoreTable table, const AmRow *row)
{
    Instance *instance = arg;
    (void)table, (void)row;
    instance->rows++;
}

static void on_answer(AmClaim *claim)
{
    Instance *instance = claim->arg;
    instance->claim = claim;
    instance->answers++;
}

static void wait_for(_Atomic int *number, int wanted)
{
    for (int64_t end = now_ns() + DEADLINE_NS; *number < wanted && now_ns() < end;)
        usleep(1000);
    CHECK(*number >= wanted);
}

static void begin_world(int64_t lease_ms)
{
    memset(&world, 0, sizeof world);
    world.lease_ms = lease_ms;
    lock_init(&world.lock, "test.world", 150);
}

static void start(Instance *instance, const char *name, bool settles)
{
    Error err = {0};
    CHECK_OK(loop_new("test", &instance->loop, &err), err);
    CHECK_OK(loop_start(instance->loop, &err), err);
    AmSharedOptions options = {.url = S("fake://"),
                               .kind = &fake,
                               .name = str_from_c(name),
                               .address = S("a"),
                               .lease_ms = world.lease_ms,
                               .poll_ms = POLL_MS,
                               .loop = instance->loop,
                               .row = on_row,
                               .arg = instance};
    CHECK_OK(am_shared_open(&options, &instance->shared, &err), err);
    if (settles)
        CHECK(am_shared_settle(instance->shared, 60000));
}

static void end(Instance *instance)
{
    am_shared_stop(instance->shared);
    loop_stop(instance->loop);
    loop_join(instance->loop);
    am_shared_free(instance->shared);
    loop_free(instance->loop);
}

static AmVerdict claim(Instance *instance, const char *key, int64_t seen_ns)
{
    int before = instance->answers;
    (void)am_shared_claim(instance->shared, str_from_c(key), seen_ns, on_answer, instance);
    wait_for(&instance->answers, before + 1);
    return instance->claim->verdict;
}

static void finish(Instance *instance, int64_t at_ns)
{
    AmRow row = {instance->claim->key, S("told"), at_ns, INT64_MAX};
    am_shared_finish(instance->shared, instance->claim, at_ns ? &row : NULL);
}

// Writes go in order: what is put now is there after what was put before. An instance that is away comes back first.
static void drain(Instance *instance)
{
    AmRow row = {S("drain"), S("x"), now_ns(), INT64_MAX};
    uint64_t ticket = am_shared_put(instance->shared, AM_STORE_SILENCES, &row);
    for (int64_t stop = now_ns() + DEADLINE_NS;
         !am_shared_wait(instance->shared, ticket, DEADLINE_NS / 1000000) && now_ns() < stop;)
        usleep(1000);
    CHECK(am_shared_wait(instance->shared, ticket, 0));
}

TEST(am_shared, one_claims_and_the_others_see_what_it_told)
{
    Instance a = {0};
    Instance b = {0};
    begin_world(LEASE_MS);
    start(&a, "a", true);
    start(&b, "b", true);

    CHECK_EQ(claim(&a, "g", 0), AM_CLAIM_GRANTED);
    CHECK(am_shared_may_send(a.shared, a.claim));
    CHECK_EQ(claim(&b, "g", 0), AM_CLAIM_BUSY);
    finish(&b, 0);
    finish(&a, 5);
    drain(&a);
    CHECK_EQ(claim(&b, "g", 0), AM_CLAIM_STALE);
    CHECK_EQ(b.claim->row.at_ns, 5);
    CHECK_STR(b.claim->row.body, S("told"));
    finish(&b, 0);
    CHECK_EQ(claim(&b, "g", 5), AM_CLAIM_GRANTED);
    finish(&b, 0);
    drain(&b);
    CHECK_EQ(claim(&a, "g", 5), AM_CLAIM_GRANTED);
    finish(&a, 0);

    end(&a);
    end(&b);
}

TEST(am_shared, a_result_is_sent_by_whoever_has_it_or_waits_and_is_written_once)
{
    Instance a = {0};
    begin_world(LEASE_MS);
    start(&a, "a", true);

    for (int i = 1; i <= 200; i++) {
        CHECK_EQ(claim(&a, "g", i - 1), AM_CLAIM_GRANTED);
        finish(&a, i);
        if (i % 3 == 0)
            drain(&a);
    }
    drain(&a);
    CHECK_EQ(find_row(AM_STORE_LOG, S("g"), false)->at_ns, 200);
    CHECK_STR(str_from_c(find_row(AM_STORE_LOG, S("g"), false)->owner), S(""));
    CHECK(world.begun > 0);
    CHECK_EQ(world.ended, (world.begun + 1) / 2);

    // Sent, but the engine is away before it has said so: it is written again.
    CHECK_EQ(claim(&a, "h", 0), AM_CLAIM_GRANTED);
    world.is_away = 1;
    finish(&a, 5);
    world.is_away = 0;
    drain(&a);
    CHECK_EQ(find_row(AM_STORE_LOG, S("h"), false)->at_ns, 5);
    end(&a);
}

TEST(am_shared, a_claim_ends_with_the_lease_of_its_owner)
{
    Instance a = {0};
    Instance b = {0};
    begin_world(SHORT_LEASE_MS);
    start(&a, "a", true);
    start(&b, "b", true);
    CHECK_EQ(claim(&a, "g", 0), AM_CLAIM_GRANTED);
    AmClaim *held = a.claim;

    world.no_beats = 1;
    for (int64_t stop = now_ns() + DEADLINE_NS; am_shared_may_send(a.shared, held);) {
        CHECK(now_ns() < stop);
        usleep(1000);
    }
    world.no_beats = 0;
    AmVerdict verdict;
    for (int64_t stop = now_ns() + DEADLINE_NS;
         (verdict = claim(&b, "g", 0)) != AM_CLAIM_GRANTED && now_ns() < stop;)
        finish(&b, 0);
    CHECK_EQ(verdict, AM_CLAIM_GRANTED);
    CHECK(!am_shared_may_send(a.shared, held));

    // The old owner does not take the claim away from the new one.
    am_shared_finish(a.shared, held, NULL);
    drain(&a);
    CHECK_EQ(claim(&a, "g", 0), AM_CLAIM_BUSY);
    finish(&a, 0);
    finish(&b, 0);
    end(&a);
    end(&b);
}

TEST(am_shared, without_the_engine_each_is_alone_and_writes_wait)
{
    Instance a = {0};
    Instance b = {0};
    begin_world(SHORT_LEASE_MS);
    world.is_away = 1;
    start(&a, "a", false);
    CHECK(!am_shared_settle(a.shared, 10));

    CHECK_EQ(claim(&a, "g", 0), AM_CLAIM_ALONE);
    CHECK(am_shared_may_send(a.shared, a.claim));
    AmClaim *alone = a.claim;
    AmRow silence = {S("s"), S("one"), 1, INT64_MAX};
    uint64_t ticket = am_shared_put(a.shared, AM_STORE_SILENCES, &silence);
    CHECK(!am_shared_wait(a.shared, ticket, 60000));
    world.is_away = 0;
    CHECK(am_shared_settle(a.shared, 60000));
    // The engine is back: the right is asked for anew.
    CHECK(!am_shared_may_send(a.shared, alone));
    a.claim = alone;
    finish(&a, 7);
    drain(&a);
    start(&b, "b", true);
    wait_for(&b.rows, 2);
    CHECK_EQ(claim(&b, "g", 0), AM_CLAIM_STALE);
    finish(&b, 0);

    end(&a);
    end(&b);
}

TEST(am_shared, the_newest_row_is_written_and_a_bad_one_stops_nothing)
{
    Instance a = {0};
    begin_world(LEASE_MS);
    start(&a, "a", true);
    AmRow bad = {S("x"), S("bad"), 1, INT64_MAX};
    AmRow old = {S("s"), S("old"), 1, INT64_MAX};
    AmRow fresh = {S("s"), S("fresh"), 2, INT64_MAX};

    (void)am_shared_put(a.shared, AM_STORE_SILENCES, &bad);
    (void)am_shared_put(a.shared, AM_STORE_SILENCES, &old);
    (void)am_shared_put(a.shared, AM_STORE_SILENCES, &fresh);
    (void)am_shared_put(a.shared, AM_STORE_SILENCES, &old);
    drain(&a);

    CHECK_STR(str_from_c(find_row(AM_STORE_SILENCES, S("s"), false)->body), S("fresh"));
    CHECK(find_row(AM_STORE_SILENCES, S("x"), false) == NULL);
    end(&a);
}

TEST(am_shared, members_are_those_that_live)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Instance a = {0};
    Instance b = {0};
    AmSharedState seen = {0};
    begin_world(SHORT_LEASE_MS);
    start(&a, "a", true);
    start(&b, "b", true);

    for (int64_t stop = now_ns() + DEADLINE_NS; seen.member_count < 2 && now_ns() < stop;)
        seen = am_shared_state(a.shared, &arena);
    CHECK_EQ(seen.member_count, 2);
    CHECK_EQ(seen.position, 0);
    CHECK(seen.up);
    end(&b);
    for (int64_t stop = now_ns() + DEADLINE_NS; seen.member_count > 1 && now_ns() < stop;)
        seen = am_shared_state(a.shared, &arena);
    CHECK_EQ(seen.member_count, 1);
    CHECK_EQ(seen.left, 1);
    end(&a);
}

TEST_MAIN(am_shared, TEST_ROW(am_shared, one_claims_and_the_others_see_what_it_told),
          TEST_ROW(am_shared, a_result_is_sent_by_whoever_has_it_or_waits_and_is_written_once),
          TEST_ROW(am_shared, a_claim_ends_with_the_lease_of_its_owner),
          TEST_ROW(am_shared, without_the_engine_each_is_alone_and_writes_wait),
          TEST_ROW(am_shared, the_newest_row_is_written_and_a_bad_one_stops_nothing),
          TEST_ROW(am_shared, members_are_those_that_live))
