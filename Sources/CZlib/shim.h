#ifndef HEADWATER_CZLIB_SHIM_H
#define HEADWATER_CZLIB_SHIM_H
#include <zlib.h>
#endif
