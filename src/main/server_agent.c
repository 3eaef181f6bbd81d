// SPDX-License-Identifier: Apache-2.0
#include "main/server_agent.h"

bool server_is_agent(const ServerFlags *flags)
{
    return flags->agent || server_feature(flags, "agent");
}

static bool is_of_server(Str name)
{
    static const char *const prefixes[] = {"storage.tsdb.", "storage.remote.read-", "rules.",
                                           "alertmanager.", "query."};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts_with(name, str_from_c(prefixes[i])))
            return true;
    return false;
}

bool server_agent_check_flags(const ServerFlags *flags, const FlagTable *table,
                              const FlagResult *given, Error *err)
{
    Buf names = {0};
    bool agent = server_is_agent(flags);
    for (size_t i = 0; i < table->count; i++) {
        Str name = str_from_c(table->flags[i].name);
        bool wrong = agent ? is_of_server(name) : str_starts_with(name, S("storage.agent."));
        if (given->given[i] && wrong)
            buf_printf(&names, "%s\"--" STR_FMT "\"", names.len ? " " : "", STR_ARG(name));
    }
    bool ok = names.len == 0;
    if (!ok)
        error_set(err, ERR_INVALID,
                  "The following flag(s) can %s be used in agent mode: [" STR_FMT "]",
                  agent ? "not" : "only", STR_ARG(str_sub(buf_str(&names), 0, 300)));
    buf_deinit(&names);
    return ok;
}

bool server_agent_check_config(const ServerConfig *config, Error *err)
{
    const ServerFile *file = &config->file;
    const char *field = file->alerting.alertmanagers.count || file->alerting.alert_relabel.count
                            ? "alerting"
                        : file->rule_files.count  ? "rule_files"
                        : file->remote_read.count ? "remote_read"
                                                  : NULL;
    return !field || error_set(err, ERR_INVALID, "field %s is not allowed in agent mode", field);
}

bool server_agent_open(const ServerFlags *flags, Registry *registry, ServerRemote *remote,
                       AgentStore **ret_store, Error *err)
{
    AgentOptions options;
    agent_options_default(&options);
    options.dir = flags->agent_path;
    options.registry = registry;
    options.no_lockfile = flags->agent_no_lockfile;
    if (flags->agent_wal_segment_bytes) // 0 is the usual size
        options.wal_segment_bytes = flags->agent_wal_segment_bytes;
    options.wal_compression = !flags->agent_wal_compression            ? TSDB_COMPRESSION_NONE
                              : flags->agent_wal_compression_type == 1 ? TSDB_COMPRESSION_ZSTD
                                                                       : TSDB_COMPRESSION_SNAPPY;
    options.truncate_every_ms = flags->agent_truncate_every_ms;
    options.keep_ms_min = flags->agent_keep_ms_min;
    options.keep_ms_max = flags->agent_keep_ms_max;
    options.needed_segment = server_remote_needed_segment;
    options.arg = remote;
    return agent_store_open(&options, ret_store, err);
}
