// SPDX-License-Identifier: Apache-2.0
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

#include "base/footprint.h"

bool library_load(const Library *library, const LibrarySymbol *symbols, size_t count, Error *err)
{
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_set(err, library->code, "%s %s (Debian's package %s): %s", library->needed_by,
                         library->file, library->package, dlerror());
    footprint_forget_soon();
    for (size_t i = 0; i < count; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (!symbol)
            return error_set(err, library->code, "%s has no %s", library->file, symbols[i].name);
        memcpy(symbols[i].to, &symbol, sizeof symbol);
    }
    return true;
}
