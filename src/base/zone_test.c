// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

#include "base/test.h"
#include "base/timefmt.h"

TEST(zone, knows_offsets_before_and_after_changes)
{
    static const struct {
        const char *name;
        Str zone;
        int64_t year;
        int month, day, hour; // UTC
        const char *want_name;
        int32_t want_offset_s;
    } cases[] = {
        {"summer", STR("Europe/Berlin"), 2023, 7, 1, 12, "CEST", 7200},
        {"winter", STR("Europe/Berlin"), 2023, 1, 1, 12, "CET", 3600},
        {"the hour before", STR("Europe/Berlin"), 2023, 3, 26, 0, "CET", 3600},
        {"the hour of the change", STR("Europe/Berlin"), 2023, 3, 26, 1, "CEST", 7200},
        {"far in the future", STR("Europe/Berlin"), 2123, 7, 1, 12, "CEST", 7200},
        {"far winter", STR("America/New_York"), 2200, 1, 1, 12, "EST", -18000},
        {"south of the equator", STR("Australia/Sydney"), 2100, 1, 1, 0, "AEDT", 39600},
        {"before there were rules", STR("Europe/Berlin"), 1800, 1, 1, 0, "LMT", 3208},
        {"half hours, no name", STR("Asia/Kolkata"), 2023, 7, 1, 0, "IST", 19800},
        {"numbers for a name", STR("America/Sao_Paulo"), 2023, 7, 1, 0, "-03", -10800},
        {"UTC", STR("UTC"), 2023, 7, 1, 0, "UTC", 0},
    };

    EACH_CASE(c, cases) {
        Zone *zone;
        Error err = {0};

        bool ok = zone_new(c->zone, &zone, &err);

        CHECK_OK(ok, err);
        ZoneAt at = zone_at(zone, civil_to_s(c->year, c->month, c->day, c->hour, 0, 0));
        CHECK_EQ(at.offset_s, c->want_offset_s);
        CHECK_STR(str_from_c(at.name), str_from_c(c->want_name));
        zone_free(zone);
    }
}

TEST(zone, local_times_come_back)
{
    Zone *zone;
    Error err = {0};

    bool ok = zone_new(S("Europe/Berlin"), &zone, &err);

    CHECK_OK(ok, err);
    for (int64_t s = civil_to_s(2023, 1, 1, 0, 30, 0); s < civil_to_s(2024, 1, 1, 0, 0, 0);
         s += 3600) {
        int64_t local_s = s + zone_at(zone, s).offset_s;
        int64_t back_s = zone_to_unix(zone, local_s);
        // In autumn an hour comes twice.
        CHECK(back_s == s || back_s + zone_at(zone, back_s).offset_s == local_s);
    }
    zone_free(zone);
}

TEST(zone, names_that_are_no_zones_are_refused)
{
    static const char *const names[] = {"Nope/Nowhere", "../../etc/passwd", "/etc/localtime", "a b",
                                        "Europe"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        Zone *zone;
        Error err = {0};

        bool ok = zone_new(str_from_c(names[i]), &zone, &err);

        CHECK(!ok);
        CHECK_HAS(err.text, names[i]);
    }
}

TEST_MAIN(zone, TEST_ROW(zone, knows_offsets_before_and_after_changes),
          TEST_ROW(zone, local_times_come_back),
          TEST_ROW(zone, names_that_are_no_zones_are_refused))
