// SPDX-License-Identifier: Apache-2.0
// template_functions.h: functions that Prometheus and Alertmanager share.
#pragma once

#include "template/template.h"

#define TEMPLATE_RESULT_BYTES_MAX (16u << 20)

// A table's row for each: {"toUpper", template_function_to_upper, TEMPLATE_PARAMS(&template_type_string)}.
bool template_function_to_upper(const TemplateCall *call, TemplateValue *ret_value, Error *err);
bool template_function_to_lower(const TemplateCall *call, TemplateValue *ret_value, Error *err);
bool template_function_match(const TemplateCall *call, TemplateValue *ret_value, Error *err);
bool template_function_replace(const TemplateCall *call, TemplateValue *ret_value, Error *err);
bool template_function_safe_html(const TemplateCall *call, TemplateValue *ret_value, Error *err);
bool template_function_humanize_duration(const TemplateCall *call, TemplateValue *ret_value,
                                         Error *err);

// A number of any kind, a string that is one, a duration in seconds.
bool template_to_float(const TemplateValue *value, double *ret_number, Error *err);

// The text of a buffer as a string value; frees the buffer.
bool template_return_text(const TemplateCall *call, Buf *text, TemplateValue *ret_value,
                          Error *err);
