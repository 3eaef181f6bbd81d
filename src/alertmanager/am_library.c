// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_library.h"

#include <dlfcn.h>
#include <string.h>

bool am_library_load(const AmLibrary *library, const AmLibrarySymbol *symbols, size_t count,
                     Error *err)
{
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_set(err, library->code, "%s %s (Debian's package %s): %s", library->needed_by,
                         library->file, library->package, dlerror());
    for (size_t i = 0; i < count; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (!symbol)
            return error_set(err, library->code, "%s has no %s", library->file, symbols[i].name);
        memcpy(symbols[i].to, &symbol, sizeof symbol);
    }
    return true;
}
