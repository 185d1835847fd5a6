// inline.hpp: for what every request passes through and is short, or called from one place: calls would be felt.
#pragma once

#define SLUICE_INLINE [[gnu::always_inline]] inline
