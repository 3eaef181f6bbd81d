// SPDX-License-Identifier: Apache-2.0
// http_client_config_internal.h: what the tables of the HTTP client's configuration share.
#pragma once

#include "net/http_client.h"

// "at most one of TEXT must be configured", at the node, if both are.
bool http_config_one_at_most(const ConfigReader *reader, const YamlNode *node, const char *text,
                             Str a, Str b, Error *err) MUST_CHECK;
bool http_config_is_header_name(Str name);
void http_config_indent(Buf *buf, int indent);
// "key:" (NULL: none) and its items, each on a line; nothing if there are none.
void http_config_print_list(Buf *buf, int indent, const char *key, ConfigStrList list,
                            bool is_secret);
