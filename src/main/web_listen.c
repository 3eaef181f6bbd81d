// SPDX-License-Identifier: Apache-2.0
#include "main/web_listen.h"

#include "base/log.h"

static void on_error(void *arg, const Error *err)
{
    (void)arg;
    log_error("the web configuration is broken, refusing all requests", KV("err", err));
}

bool web_listen_open(Str path, WebGate **ret_gate, Error *err)
{
    *ret_gate = NULL;
    return path.len == 0 || web_gate_open(path, on_error, NULL, ret_gate, err) ||
           error_context(err, "--web.config.file");
}
