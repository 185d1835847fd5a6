// export.hpp: SLUICE_API marks what a shared libsluice exports. Includes nothing.
#pragma once

#if defined(SLUICE_SHARED)
#define SLUICE_API __attribute__((visibility("default")))
#else
#define SLUICE_API
#endif
