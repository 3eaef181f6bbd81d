// SPDX-License-Identifier: Apache-2.0
// Any text is a list of matchers or is refused; what is read prints, and what is printed reads as the same matchers.
#include "alertmanager/am_matcher.h"

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    AmMatchers once;
    AmMatchers twice;
    Error err;
    if (size == 0 || size > 4096)
        return 0;
    log_setup(LOG_ERROR, LOG_LOGFMT); // what the two parsers read otherwise is a warning
    AmMatcherMode mode = (AmMatcherMode)(data[0] % 3);
    if (!am_matchers_parse(str_make((const char *)data + 1, size - 1), mode, &arena, &once, &err))
        return 0;
    am_matchers_print(&text, &once);
    bool whole =
        mode ==
        AM_MATCHER_UTF8; // the classic grammar knows fewer escapes than are printed for odd names
    for (size_t i = 0; i < once.count; i++)
        whole &= str_is_utf8(once.items[i].value) &&
                 once.items[i].name.len > 0; // the original prints no quotes around nothing either
    if (whole) {
        bool ok = am_matchers_parse(buf_str(&text), AM_MATCHER_UTF8, &arena, &twice, &err);
        ASSERT(ok);
        ASSERT(twice.count == once.count);
        for (size_t i = 0; i < once.count; i++)
            ASSERT(am_matcher_equal(&once.items[i], &twice.items[i]));
        am_matchers_deinit(&twice);
    }
    am_matchers_deinit(&once);
    return 0;
}
