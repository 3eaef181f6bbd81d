// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_rules.h"

#include "base/fs.h"
#include "codec/yaml.h"

// That it can be read and is YAML.
ToolFindings tool_rules_check(const ToolCall *call, const Str *files, size_t count,
                              const ToolRuleLint *lint)
{
    ToolFindings findings = {0};
    (void)call;
    (void)lint;
    for (size_t i = 0; i < count; i++) {
        CLEANUP(arena_deinit) Arena arena = {0};
        Str text;
        YamlNode *root;
        Error err = {0};
        printf("Checking " STR_FMT "\n", STR_ARG(files[i]));
        fflush(stdout);
        if (!fs_read_file(&fs_system, files[i], &arena, YAML_BYTES_MAX, &text, &err) ||
            !yaml_parse(text, files[i], &arena, &root, &err)) {
            fprintf(stderr, "  FAILED:\n%s\n", err.text);
            findings = (ToolFindings){true, true};
        }
        printf("\n");
    }
    return findings;
}
