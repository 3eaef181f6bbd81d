// SPDX-License-Identifier: Apache-2.0
#include "main/server_watch.h"

#include <glob.h>
#include <sys/stat.h>

static void look_at_file(const char *path, Buf *seen)
{
    struct stat st;
    if (stat(path, &st) == 0)
        buf_printf(seen, "%s %lld.%09ld %lld\n", path, (long long)st.st_mtim.tv_sec,
                   st.st_mtim.tv_nsec, (long long)st.st_size);
}

static void look_at_pattern(Str pattern, Arena *arena, Buf *seen)
{
    glob_t found = {0};
    if (glob(str_to_c(arena, pattern), 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            look_at_file(found.gl_pathv[i], seen);
    globfree(&found);
}

static void look_at_patterns(const Str *patterns, size_t count, Arena *arena, Buf *seen)
{
    for (size_t i = 0; i < count; i++)
        look_at_pattern(patterns[i], arena, seen);
}

uint64_t server_watch_look(Str config_file, const ServerConfig *config)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf seen = {0};
    look_at_file(str_to_c(&arena, config_file), &seen);
    look_at_patterns(config->rule_patterns, config->rule_pattern_count, &arena, &seen);
    look_at_patterns(config->scrape_patterns, config->scrape_pattern_count, &arena, &seen);
    return str_hash(buf_str(&seen));
}
