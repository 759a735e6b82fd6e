// What tests may do to the fake kernel beside calling it.

#ifndef DEBLOCKATOR_FAKE_SYSMEM_H
#define DEBLOCKATOR_FAKE_SYSMEM_H

#include "psp2.h"

void fake_limits(int64_t user, int64_t cdram, int64_t phycont);
int fake_live(void);

#endif
