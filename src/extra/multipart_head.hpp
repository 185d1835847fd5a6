// multipart_head.hpp: the header block of one part, and everything that can be wrong with a multipart body.
// In: a whole block, each line with its CRLF. Out: the head, with views into it, or a fault. Any thread; no state.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include <sluice/extra/multipart.hpp>

namespace sluice::detail {

enum class MultipartFault : std::uint8_t {
  none,
  boundary_line,
  truncated,
  bare_line_feed,
  folded,
  field_form,
  no_disposition,
  duplicate,
  disposition_form,
  no_name,
  encoding,
  too_many_parts,
  head_bytes,
  too_many_fields,
  name_bytes,
  filename_bytes,
  part_data_bytes,
  data_bytes,
  preamble_bytes,
  epilogue_bytes,
};

/// Reads a header block without its empty line.
std::expected<MultipartHead, MultipartFault> read_part_head(std::string_view block, const MultipartLimits& limits);

Problem multipart_problem(MultipartFault fault);

}  // namespace sluice::detail
