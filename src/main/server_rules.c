// SPDX-License-Identifier: Apache-2.0
#include "main/server_rules.h"

#include "base/log.h"
#include "base/thread.h"

#define RULE_THREADS_MIN 4
#define RULE_THREADS_MAX 16

bool server_rules_load(const ServerFlags *flags, const ServerConfig *config, Str external_url,
                       RuleSet **ret_set, Error *err)
{
    const ScrapeGlobal *global = &config->file.global;
    CLEANUP(arena_deinit) Arena arena = {0};
    StrList errors = {0};
    RulesConfig rules = {
        .patterns = config->rule_patterns,
        .pattern_count = config->rule_pattern_count,
        .interval_ms = global->evaluation_interval_ms,
        .query_offset_ms = global->rule_query_offset_ms,
        .external_labels = global->external,
        .external_url = external_url,
        .file = {.features = server_promql_features(flags),
                 .legacy_names = global->validation == NAMES_LEGACY},
    };
    bool ok = rule_set_load(&rules, &arena, ret_set, &errors, err);
    for (size_t i = 0; i < errors.count; i++)
        log_error("loading groups failed", KV("err", errors.items[i]));
    return ok || error_context(err, "error loading rules");
}

void server_rules_init(ServerRules *rules, const ServerFlags *flags, Sink *sink, Source *source,
                       Engine *engine, Registry *registry, struct Tracer *tracer)
{
    bool concurrent = server_feature(flags, "concurrent-rule-eval");
    rules->notifier = notifier_new(&(NotifierOptions){
        .registry = registry,
        .queue_capacity = (size_t)flags->alertmanager_queue_capacity,
        .batch_size = (size_t)flags->alertmanager_batch_size,
        .here = server_alerts_take,
        .here_arg = &rules->alerts,
    });
    rules->manager = rules_manager_new(&(RulesOptions){
        .sink = sink,
        .source = source,
        .engine = engine,
        .clock = &clock_system,
        .registry = registry,
        .threads = MIN(MAX(2 * thread_cores(), RULE_THREADS_MIN), RULE_THREADS_MAX),
        .concurrency_max = concurrent ? (int)flags->rules_max_concurrent_evals : 0,
        .outage_tolerance_ms = flags->rules_for_outage_tolerance_ms,
        .grace_period_ms = flags->rules_for_grace_period_ms,
        .resend_delay_ms = flags->rules_resend_delay_ms,
        .restores = true,
        .send = notifier_send,
        .send_arg = rules->notifier,
        .tracer = tracer,
    });
}

static void config_ref(void *owner)
{
    server_config_ref(owner);
}

static void config_unref(void *owner)
{
    server_config_unref(owner);
}

void server_rules_apply(ServerRules *rules, ServerConfig *config, RuleSet *set)
{
    notifier_apply(rules->notifier, &(NotifierConfig){
                                        .alerting = &config->file.alerting,
                                        .external_labels = config->file.global.external,
                                        .owner = config,
                                        .ref = config_ref,
                                        .unref = config_unref,
                                    });
    rules_manager_apply(rules->manager, set);
}

void server_rules_deinit(ServerRules *rules, bool drain)
{
    rules_manager_free(rules->manager);
    notifier_free(rules->notifier, drain);
    server_alerts_close(&rules->alerts);
}
