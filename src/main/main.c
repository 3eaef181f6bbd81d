// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

int main(void)
{
    printf("narthex %s\n", NARTHEX_VERSION);
    return 0;
}
