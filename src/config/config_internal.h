// SPDX-License-Identifier: Apache-2.0
// config_internal.h: what reading and printing by a table share.
//
//     config.c        YAML into objects, defaults
//     config_print.c  objects into YAML, the reference page
//     config_size.c   sizes with units
#pragma once

#include "config/config.h"

static inline void *config_member(void *object, const ConfigField *field)
{
    return (char *)object + field->offset;
}

static inline const void *config_member_const(const void *object, const ConfigField *field)
{
    return (const char *)object + field->offset;
}

// Bytes of a member of the kind, other than a struct's or a custom one's.
size_t config_scalar_bytes(ConfigKind kind);
