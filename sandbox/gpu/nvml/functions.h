/* What the exported functions are compiled against: NVIDIA's header, from the go-nvml module (sandbox/tools). */
#define NVML_NO_UNVERSIONED_FUNC_DEFS 1
#include <nvml.h>

/* cgo writes no const of its own, and a prototype that lacks one is another function's. */
typedef const char *constText;
typedef const nvmlGpuInstancePlacement_t *constPlacement;
