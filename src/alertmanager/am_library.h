// SPDX-License-Identifier: Apache-2.0
// am_library.h: libraries that are loaded when a configuration asks for them, so that others need not have them.
#pragma once

#include "base/error.h"

typedef struct AmLibrarySymbol {
    const char *name;
    void *to; // the pointer to a function that is filled
} AmLibrarySymbol;

typedef struct AmLibrary {
    const char *file;
    const char *needed_by; // "x needs", as the error begins
    const char *package;   // Debian's
    ErrorCode code;        // of the error
} AmLibrary;

// Fills all symbols. The library stays until the process ends: what it brings along may not like to be unloaded.
bool am_library_load(const AmLibrary *library, const AmLibrarySymbol *symbols, size_t count,
                     Error *err);
