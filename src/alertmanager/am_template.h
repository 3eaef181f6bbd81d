// SPDX-License-Identifier: Apache-2.0
// am_template.h: the data that notification templates see, and the templates of one configuration: alertmanager.md section 9.
#pragma once

#include "alertmanager/am_alert.h"
#include "config/config.h"
#include "template/template.h"

// One alert in a notification: its end counts only if it is resolved.
typedef struct AmNote {
    AmAlert *alert;
    bool resolved;
    const struct AmSaid *said; // NULL but for what people made up
} AmNote;

// What data from a file says of an alert in words of its own.
typedef struct AmSaid {
    Str status, fingerprint;
} AmSaid;

// Why a notification is sent.
typedef enum AmReason {
    AM_REASON_UNKNOWN,
    AM_REASON_NONE,
    AM_REASON_FIRST,
    AM_REASON_NEW,
    AM_REASON_SOME_RESOLVED,
    AM_REASON_ALL_RESOLVED,
    AM_REASON_REPEAT,
} AmReason;
const char *am_reason_text(AmReason reason);

typedef struct AmData {
    Str receiver; // special characters of regexes quoted
    bool firing;
    const AmNote *notes;
    size_t count;
    Labels group_labels, common_labels, common_annotations;
    Labels route_labels;
    Str external_url;
    AmReason reason;
    const AmSaid *said;              // the same of the whole
    Str said_reason;                 // with it
    struct AmRouteLabels *rendering; // while route labels are filled in
} AmData;

// `receiver` and `external_url` as they are; strings are shared with what is passed, the rest lives in the arena.
AmData *am_data_new(Arena *arena, Str receiver, Str external_url, Labels group_labels,
                    const AmNote *notes, size_t count);
TemplateValue am_data_value(const AmData *data);
// Go's regexp.QuoteMeta.
Str am_quote_meta(Arena *arena, Str text);

// The templates of one generation. Texts that were filled in once are kept parsed.
typedef struct AmTemplates AmTemplates;

// The defaults, then each file that a path with wildcards names. `paths` are absolute or relative to the process.
bool am_templates_new(const ConfigStrList *paths, AmTemplates **ret_templates,
                      Error *err) MUST_CHECK;
// Whether a text of the configuration can be read as a template at all.
bool am_template_check(Str text, Error *err) MUST_CHECK;
void am_templates_free(AmTemplates *templates); // accepts NULL
// The same definitions for one more thread, with limits of its own. `of` must outlive it.
AmTemplates *am_templates_share(const AmTemplates *of, TemplateLimits limits);
// Where the text that could not be filled in last is wrong; the name is empty for the text itself. Good until the next.
TemplatePlace am_templates_fault(const AmTemplates *templates);

// Fills in one text; in the arena. `html`: values are escaped for where they stand.
//
// Thread  one at a time
bool am_templates_render(const AmTemplates *templates, Str text, bool html, const AmData *data,
                         Arena *arena, Str *ret_text, Error *err) MUST_CHECK;

// Fills data->route_labels from the route's texts, each a template that may ask for others by routeLabels. The reason is unknown
// meanwhile. Fails where they ask for each other in a ring.
bool am_data_route_labels(AmData *data, const AmTemplates *templates, const ConfigStrMap *labels,
                          Arena *arena, Error *err) MUST_CHECK;

// The text of the built-in definitions.
extern const char am_template_defaults_text[];
extern const char am_template_defaults_email[];
