/* llhttp_unit.c: llhttp 8 and what it calls at each step, as one unit, so that a step that is nobody's business costs
 * nothing and those that are cost no call through a pointer. Takes the place of llhttp's api.c where llhttp is compiled
 * from its sources; with another llhttp its settings do the same (parser.cpp). Exports nothing but what parser.cpp uses.
 */
#include <llhttp.h>

#include "http/places.h"

typedef const unsigned char* sluice_at;

#define SLUICE_NOTHING(name) \
  static inline int name(llhttp_t* parser, sluice_at p, sluice_at end) { \
    (void)parser, (void)p, (void)end; \
    return 0; \
  }

SLUICE_NOTHING(llhttp__on_message_begin)
SLUICE_NOTHING(llhttp__on_message_complete)
SLUICE_NOTHING(llhttp__on_reset)
SLUICE_NOTHING(llhttp__on_method)
SLUICE_NOTHING(llhttp__on_method_complete)
SLUICE_NOTHING(llhttp__on_url)
SLUICE_NOTHING(llhttp__on_url_complete)
SLUICE_NOTHING(llhttp__on_version)
SLUICE_NOTHING(llhttp__on_version_complete)
SLUICE_NOTHING(llhttp__on_status)
SLUICE_NOTHING(llhttp__on_status_complete)
SLUICE_NOTHING(llhttp__on_header_field_complete)
SLUICE_NOTHING(llhttp__on_header_value_complete)
SLUICE_NOTHING(llhttp__on_body)
SLUICE_NOTHING(llhttp__on_chunk_header)
SLUICE_NOTHING(llhttp__on_chunk_complete)
SLUICE_NOTHING(llhttp__on_chunk_extension_name)
SLUICE_NOTHING(llhttp__on_chunk_extension_name_complete)
SLUICE_NOTHING(llhttp__on_chunk_extension_value)
SLUICE_NOTHING(llhttp__on_chunk_extension_value_complete)

/* Settings are an answer's: its reader has no places to compare with, and collects. */

static inline int llhttp__on_header_field(llhttp_t* parser, sluice_at p, sluice_at end) {
  const llhttp_settings_t* settings = parser->settings;
  const size_t size = (size_t)(end - p);
  if (settings != NULL) return settings->on_header_field(parser, (const char*)p, size);
  return sluice_agrees_on_name(parser->data, (const char*)p, size) ? 0 : HPE_USER;
}

static inline int llhttp__on_header_value(llhttp_t* parser, sluice_at p, sluice_at end) {
  const llhttp_settings_t* settings = parser->settings;
  const size_t size = (size_t)(end - p);
  if (settings != NULL) return settings->on_header_value(parser, (const char*)p, size);
  return sluice_agrees_on_value(parser->data, (const char*)p, size) ? 0 : HPE_USER;
}

static inline int llhttp__on_headers_complete(llhttp_t* parser, sluice_at p, sluice_at end) {
  const llhttp_settings_t* settings = parser->settings;
  (void)p, (void)end;
  if (settings != NULL) return settings->on_headers_complete(parser);
  ((struct sluice_places*)parser->data)->complete = 1;
  return HPE_PAUSED;
}

#include <llhttp.c>

void llhttp_init(llhttp_t* parser, llhttp_type_t type, const llhttp_settings_t* settings) {
  llhttp__internal_init(parser);
  parser->type = (uint8_t)type;
  parser->settings = (void*)settings;
}

llhttp_errno_t llhttp_execute(llhttp_t* parser, const char* data, size_t size) {
  return (llhttp_errno_t)llhttp__internal_execute(parser, data, data + size);
}

const char* llhttp_errno_name(llhttp_errno_t error) {
  switch (error) {
#define SLUICE_NAME(code, name, text) \
  case HPE_##name: return "HPE_" #name;
    HTTP_ERRNO_MAP(SLUICE_NAME)
#undef SLUICE_NAME
  }
  return "HPE_UNKNOWN";
}
