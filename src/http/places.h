/* places.h: where the fields of a head lie, as its first reader found them (head_guard). llhttp is the second one and is
 * held to them, field by field, while it reads.
 * In: what llhttp takes for a name or a value. Out: whether that is what the first reader took. C and C++; loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* As http::Field. Offsets count from the head's first byte; values without white space around them. */
struct __attribute__((may_alias)) sluice_place {
  uint16_t name_offset, name_size, value_offset, value_size;
  uint8_t known;
};

struct sluice_places {
  const char* base;
  const struct sluice_place* next; /* whose name has not been read */
  const struct sluice_place* end;
  size_t owed; /* size of the value of the last name read, 0 once that has been read: an empty one may not be told */
  int complete; /* llhttp has reached the head's end */
};

/* Whether llhttp has read all that the first reader found. */
static inline int sluice_agrees_on_end(const struct sluice_places* places) {
  return places->complete && places->next == places->end && places->owed == 0;
}

static inline int sluice_agrees_on_name(struct sluice_places* places, const char* at, size_t size) {
  const struct sluice_place* place = places->next;
  if (place == places->end || places->owed != 0) return 0;
  places->next = place + 1;
  places->owed = place->value_size;
  return (size_t)(at - places->base) == place->name_offset && size == place->name_size;
}

/* llhttp leaves out the white space in front of a value, and not that behind it. */
static inline int sluice_agrees_on_value(struct sluice_places* places, const char* at, size_t size) {
  const size_t owed = places->owed;
  if (size == 0) return owed == 0;
  if (owed == 0) return 0; /* a value without a name, a second one, or none was found */
  places->owed = 0;
  if ((size_t)(at - places->base) != places->next[-1].value_offset || at[size] != '\r') return 0;
  while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t')) --size;
  return size == owed;
}
