// file_body.hpp: an answer's body that lies in an open file, whole or in pieces with text around them (ranges). A value
// that is shared and never changed; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace sluice::detail {

struct FileBody {
  struct Piece {
    std::string before{};  // sent in front of it
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  base::Fd fd{};
  std::vector<Piece> pieces{};
  std::string end{};  // sent behind the last one
  std::uint64_t bytes = 0;  // of everything
};

}  // namespace sluice::detail
