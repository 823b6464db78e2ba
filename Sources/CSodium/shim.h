#ifndef HEADWATER_CSODIUM_SHIM_H
#define HEADWATER_CSODIUM_SHIM_H
#include <sodium.h>
#endif
