/* SPDX-License-Identifier: BSD-2-Clause */
#include "os/os.h"
