// strides.hpp: looks for the first byte that is none of a set, 16 bytes at a time where SSE2 is there.
// In: bytes, and a set: `stops(char)` says whether one byte is outside, `stops(__m128i)` says it of 16, in a mask, and
// may say it of more bytes, never of fewer. Out: where. Any thread; no state.
// It must never read a byte outside of [base, end).
#pragma once

#include <bit>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice::http {

#ifdef __SSE2__
inline __m128i all(char c) noexcept { return _mm_set1_epi8(c); }
inline unsigned mask_of(__m128i bytes) noexcept { return static_cast<unsigned>(_mm_movemask_epi8(bytes)); }

/// How far each byte lies outside of a range, 0 for those inside: the least of several is 0 if one of them holds it.
inline __m128i outside(__m128i bytes, char low, char high) noexcept {
  return _mm_subs_epu8(_mm_sub_epi8(bytes, all(low)), all(static_cast<char>(high - low)));
}
inline __m128i outside_letters(__m128i bytes) noexcept { return outside(_mm_or_si128(bytes, all(0x20)), 'a', 'z'); }
inline __m128i other_than(__m128i bytes, char c) noexcept { return _mm_xor_si128(bytes, all(c)); }
/// The mask of those that are not 0.
inline unsigned mask_of_outside(__m128i distances) noexcept {
  return 0xffffu ^ mask_of(_mm_cmpeq_epi8(distances, _mm_setzero_si128()));
}
/// The mask of those below `low`, of DEL and of obs-text: one step up, the latter two are negative.
inline unsigned mask_of_unprintable(__m128i bytes, char low) noexcept {
  return mask_of(_mm_subs_epi8(_mm_add_epi8(bytes, all(1)), all(static_cast<char>(low + 1))));
}
#endif

/// The first byte in [p, end) that Bytes stops at, or `end`. `base` is where the memory that may be read begins.
template <class Bytes>
inline const char* find_stop(const char* base, const char* p, const char* end) noexcept {
#ifdef __SSE2__
  if (end - p >= 16) {
    const char* const last = end - 16;
    do {
      const unsigned mask = Bytes::stops(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
      if (mask != 0) return p + std::countr_zero(mask);
      p += 16;
    } while (p <= last);
  }
  if (p < end && end - base >= 16) {  // the last bytes again, so as not to read behind the end
    const char* const last = end - 16;
    const unsigned mask = Bytes::stops(_mm_loadu_si128(reinterpret_cast<const __m128i*>(last))) >> (p - last);
    return mask != 0 ? p + std::countr_zero(mask) : end;
  }
#else
  static_cast<void>(base);
#endif
  while (p < end && !Bytes::stops(*p)) ++p;
  return p;
}

}  // namespace sluice::http
