// json_text.hpp: text as a JSON string, in one place for problems, reports, counters and JsonWriter.
// Bytes in, quoted and escaped bytes appended. Any thread; pure. Never puts out anything but valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace sluice::detail {

/// Appends `text` as a JSON string, quotes included. Each malformed UTF-8 sequence becomes one U+FFFD.
///   Cost:   one pass; plain stretches are copied whole.
///   Source: RFC 8259 7; Unicode 15 3.9 (one replacement per maximal subpart).
void append_json_string(std::string& out, std::string_view text);

}  // namespace sluice::detail
