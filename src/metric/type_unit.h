// SPDX-License-Identifier: Apache-2.0
// type_unit.h: the labels __type__ and __unit__ of the feature type-and-unit-labels.
#pragma once

#include "metric/labels.h"
#include "metric/sample.h"

#define LABEL_TYPE S("__type__")
#define LABEL_UNIT S("__unit__")

// The pairs without what the sender has under these names, and with what is known: a type other than unknown, a unit that is not
// empty. In the arena; sorted if `pairs` are.
Label *type_unit_replace(const Label *pairs, size_t *count, Metadata metadata, Arena *arena);
