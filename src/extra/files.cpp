// files.cpp: what a file's answer says. Looking at the disk is file_tree's, remembering is file_cache's. from_disk runs
// on the pool, at_hand on a loop; both see the same conditions and ranges.
#include <sluice/extra/files.hpp>

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include <sluice/extra/negotiate.hpp>

#include "extra/file_cache.hpp"
#include "extra/file_tree.hpp"
#include "http/conditional.hpp"
#include "http/date.hpp"
#include "http/fields.hpp"
#include "http/media_type.hpp"
#include "http/range.hpp"
#include "server/response_access.hpp"

namespace sluice {
namespace detail {
namespace {

struct Sibling {
  std::string_view suffix;
  std::string_view coding;
};
constexpr std::array<Sibling, 3> siblings{{{".br", "br"}, {".zst", "zstd"}, {".gz", "gzip"}}};

Problem problem_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
    case ENXIO:
    case EINVAL: return Problem{404};
    case EACCES:
    case EPERM: return Problem{403};
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Problem{503}.header("Retry-After", "1").cause("no descriptors or memory to open a file");
    default: return Problem{500}.cause(std::system_category().message(error));
  }
}

std::string date_text(std::time_t seconds) {
  std::string text(http::http_date_size, '\0');
  http::write_http_date(text.data(), seconds);
  return text;
}

void append_hex(std::string& text, std::uint64_t number) {
  char digits[17];
  text.append(digits, static_cast<std::size_t>(
                          std::snprintf(digits, sizeof digits, "%llx", static_cast<unsigned long long>(number))));
}

// A change within the clock's tick that keeps the size is not seen; everything else is.
std::string etag_of(const FileStamp& stamp) {
  std::string text = "\"";
  append_hex(text, stamp.inode);
  text += '-';
  append_hex(text, stamp.size);
  text += '-';
  append_hex(
      text, static_cast<std::uint64_t>(stamp.seconds) * 1'000'000'000u + static_cast<std::uint64_t>(stamp.nanoseconds));
  return text + '"';
}

/// All lines of a field, joined as RFC 9110 5.3 has it; `keeper` holds them if there are several.
std::string_view whole_field(const Request& request, std::string_view name, std::string& keeper) {
  std::string_view found;
  bool several = false;
  for (std::size_t i = 0; i < request.header_count(); ++i) {
    const HeaderView field = request.header_at(i);
    if (!http::equal_ignoring_case(field.name, name)) continue;
    if (several) {
      keeper.append(", ").append(field.value);
    } else if (found.data() != nullptr) {
      keeper.assign(found).append(", ").append(field.value);
      several = true;
    } else {
      found = field.value;
    }
  }
  return several ? std::string_view{keeper} : found;
}

std::string random_boundary() {
  std::array<unsigned char, 12> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw Problem{500};
  std::string text;
  for (const unsigned char byte : bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// All of a file, or nothing if it is not as its stamp says by now.
std::shared_ptr<const std::string> read_whole(const OpenFile& file) {
  auto bytes = std::make_shared<std::string>(static_cast<std::size_t>(file.stamp.size), '\0');
  for (std::size_t at = 0; at < bytes->size();) {
    const ssize_t count = ::pread(file.fd.get(), bytes->data() + at, bytes->size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return nullptr;
    at += static_cast<std::size_t>(count);
  }
  struct stat status{};
  if (::fstat(file.fd.get(), &status) != 0 || stamp_of(status) != file.stamp) return nullptr;
  return bytes;
}

}  // namespace

/// One file, or the files below one directory. Shared by the requests of its route.
class Files {
 public:
  Files(std::optional<FileTree> tree, std::string path, FileOptions options)
      : tree_{std::move(tree)},
        path_{std::move(path)},
        options_{std::move(options)},
        cache_{options_.cache_bytes_max, options_.recheck} {
    if (options_.recheck < std::chrono::milliseconds{0}) throw std::invalid_argument{"files: recheck is below 0"};
    Response checked;  // throws for what no field may hold
    checked.header("Cache-Control", options_.cache_control).header("Content-Type", options_.content_type);
  }

  /// The answer, if it can be given without looking at the disk.
  std::optional<Response> at_hand(const Request& request) {
    if (options_.cached_file_bytes_max == 0) return std::nullopt;
    std::string keeper;
    const auto path = wanted(request, keeper);
    if (!path) return std::nullopt;
    const auto entry = cache_.find(*path, base::system_clock().now());
    if (entry == nullptr) return std::nullopt;
    return answer(request, chosen(request, *entry), {});
  }

  Response from_disk(const Request& request) {
    std::string keeper;
    const auto found = wanted(request, keeper);
    if (!found) throw Problem{404};
    const std::string path{*found};
    auto opened = open(path);
    if (!opened) {
      cache_.forget(path);
      throw problem_of(opened.error());
    }
    if (opened->directory) return redirect(request, path);
    const base::TimePoint now = base::system_clock().now();
    std::vector<base::Fd> open_files;
    const std::shared_ptr<const FileEntry> entry = load(path, *std::move(opened), open_files);
    if (entry->whole()) cache_.keep(path, entry, now);
    else cache_.forget(path);
    const FileVersion& version = chosen(request, *entry);
    const auto index = static_cast<std::size_t>(&version - entry->versions.data());
    return answer(request, version, std::move(open_files[index]));
  }

 private:
  /// The path that is asked for: relative to the tree, index included. Nothing: there can be no such file.
  std::optional<std::string_view> wanted(const Request& request, std::string& keeper) const {
    if (!tree_) return path_;
    const std::string_view pattern = request.route();
    const std::size_t brace = pattern.rfind('{');
    if (brace == std::string_view::npos || !pattern.ends_with("...}")) {
      throw Problem{500}.cause("static_files() needs a route that ends in a rest parameter, {path...}");
    }
    const std::string_view path = request.param(pattern.substr(brace + 1, pattern.size() - brace - 5));
    if (!FileTree::acceptable(path, options_.dot_files)) return std::nullopt;
    if (!path.empty() && !path.ends_with('/')) return path;
    if (options_.index.empty()) return std::nullopt;
    keeper.assign(path).append(options_.index);
    return keeper;
  }

  std::expected<OpenFile, int> open(const std::string& path) const {
    return tree_ ? tree_->open(path) : FileTree::open_trusted(path);
  }

  Response redirect(const Request& request, const std::string& path) const {
    const bool has_index = tree_ && !options_.index.empty() && open(path + "/" + options_.index).has_value();
    if (!has_index) throw Problem{404};
    const std::string_view target = request.target();
    const std::size_t query = std::min(target.find('?'), target.size());
    std::string place{target.substr(0, query)};
    place.append("/").append(target.substr(query));
    return Response{301}.header("Location", place);
  }

  /// Everything there is to say about a file; its descriptors in the versions' order.
  std::shared_ptr<const FileEntry> load(const std::string& path, OpenFile&& original,
                                        std::vector<base::Fd>& open_files) const {
    auto entry = std::make_shared<FileEntry>();
    std::vector<OpenFile> files;
    entry->versions.emplace_back();
    files.push_back(std::move(original));
    for (const Sibling& sibling : siblings) {
      if (!options_.precompressed) break;
      auto opened = open(path + std::string{sibling.suffix});
      if (!opened || opened->directory) continue;
      // An older one was made from something else.
      if (std::pair{opened->stamp.seconds, opened->stamp.nanoseconds} <
          std::pair{files[0].stamp.seconds, files[0].stamp.nanoseconds}) {
        continue;
      }
      entry->versions.emplace_back();
      entry->versions.back().coding = sibling.coding;
      files.push_back(*std::move(opened));
    }
    const bool varies = entry->versions.size() > 1;
    for (std::size_t i = 0; i < files.size(); ++i) {
      FileVersion& version = entry->versions[i];
      version.stamp = files[i].stamp;
      version.etag = etag_of(version.stamp);
      if (version.stamp.size <= options_.cached_file_bytes_max) version.bytes = read_whole(files[i]);
      version.plain = head(path, version, varies);
      if (version.bytes) version.plain.body(SharedBytes{version.bytes});
      open_files.push_back(std::move(files[i].fd));
    }
    return entry;
  }

  /// The 200 without its body.
  Response head(const std::string& path, const FileVersion& version, bool varies) const {
    Response response;
    if (options_.content_type.empty()) response.content_type(http::media_type_of_path(path));
    else response.header("Content-Type", options_.content_type);
    if (!version.coding.empty()) response.header("Content-Encoding", version.coding);
    response.header("Accept-Ranges", "bytes");
    add_validators(response, version, varies);
    return response;
  }

  /// What a 304 says too.
  void add_validators(Response& response, const FileVersion& version, bool varies) const {
    response.header("ETag", version.etag);
    // Never later than the moment it is said.
    response.header("Last-Modified",
                    date_text(std::min<std::time_t>(version.stamp.seconds, base::system_clock().wall())));
    if (!options_.cache_control.empty()) response.header("Cache-Control", options_.cache_control);
    if (varies) response.header("Vary", "Accept-Encoding");
  }

  static const FileVersion& chosen(const Request& request, const FileEntry& entry) {
    const auto& versions = entry.versions;
    if (versions.size() == 1) return versions.front();
    std::array<std::string_view, siblings.size() + 1> offered;
    for (std::size_t i = 1; i < versions.size(); ++i) offered[i - 1] = versions[i].coding;
    offered[versions.size() - 1] = "identity";
    const auto best = negotiate_encoding(request, std::span{offered.data(), versions.size()});
    // Whoever refuses even the bytes as they are gets them all the same: RFC 9110 12.5.3 allows it.
    if (!best || *best == versions.size() - 1) return versions.front();
    return versions[*best + 1];
  }

  Response answer(const Request& request, const FileVersion& version, base::Fd&& fd) const {
    const std::time_t now = base::system_clock().wall();
    std::string match, none_match;
    const http::ConditionalFields fields{whole_field(request, "If-Match", match),
                                         whole_field(request, "If-None-Match", none_match),
                                         request.header("If-Modified-Since"), request.header("If-Unmodified-Since")};
    const http::Validators validators{version.etag, version.stamp.seconds, true, now > version.stamp.seconds + 1};
    switch (http::evaluate_conditions(fields, validators, {true, now})) {
      case http::Verdict::not_modified: return not_modified(version);
      case http::Verdict::precondition_failed: return Response{412};
      case http::Verdict::proceed: break;
    }
    const std::string_view range = request.header("Range");
    if (!range.empty() && request.method() == Method::get &&
        http::if_range_holds(request.header("If-Range"), validators, now)) {
      const http::Ranges ranges = http::parse_ranges(range, version.stamp.size);
      if (ranges.kind() == http::Ranges::Kind::unsatisfiable) {
        return Response{416}.header("Content-Range", http::ContentRange{version.stamp.size}.view());
      }
      if (ranges.kind() == http::Ranges::Kind::partial) return partial(version, ranges.list(), std::move(fd));
    }
    Response response = version.plain;
    if (!version.bytes) set_file(response, std::move(fd), {{{}, 0, version.stamp.size}}, {});
    return response;
  }

  static Response not_modified(const FileVersion& version) {
    Response response{304};
    for (const char* name : {"ETag", "Last-Modified", "Cache-Control", "Vary"}) {
      if (const auto value = version.plain.find_header(name)) response.header(name, *value);
    }
    return response;
  }

  static Response partial(const FileVersion& version, std::span<const http::ByteRange> ranges, base::Fd&& fd) {
    Response response = version.plain;
    response.status(206);
    const std::uint64_t size = version.stamp.size;
    std::vector<FileBody::Piece> pieces;
    std::string end;
    if (ranges.size() == 1) {
      response.header("Content-Range", http::ContentRange{ranges[0], size}.view());
      pieces.push_back({{}, ranges[0].first, ranges[0].size_bytes()});
    } else {
      const std::string boundary = random_boundary();
      const std::string type{version.plain.find_header("Content-Type").value_or(std::string_view{})};
      const http::MultipartRanges multipart{{boundary, type, size}};
      for (std::size_t i = 0; i < ranges.size(); ++i) {
        pieces.push_back({multipart.part_head(i, ranges[i]), ranges[i].first, ranges[i].size_bytes()});
      }
      end = multipart.end();
      response.header("Content-Type", multipart.content_type());
    }
    if (version.bytes) set_memory(response, version.bytes, pieces, end);
    else set_file(response, std::move(fd), std::move(pieces), std::move(end));
    return response;
  }

  static void set_memory(Response& response, const std::shared_ptr<const std::string>& bytes,
                         const std::vector<FileBody::Piece>& pieces, const std::string& end) {
    const auto slice = [&](const FileBody::Piece& piece) {
      return std::string_view{*bytes}.substr(static_cast<std::size_t>(piece.offset),
                                             static_cast<std::size_t>(piece.size));
    };
    if (pieces.size() == 1 && pieces[0].before.empty()) {
      response.body(SharedBytes{bytes, slice(pieces[0])});
      return;
    }
    std::string body;
    for (const FileBody::Piece& piece : pieces) body.append(piece.before).append(slice(piece));
    response.body(std::move(body.append(end)));
  }

  static void set_file(Response& response, base::Fd&& fd, std::vector<FileBody::Piece>&& pieces, std::string&& end) {
    auto body = std::make_shared<FileBody>();
    body->fd = std::move(fd);
    body->pieces = std::move(pieces);
    body->end = std::move(end);
    body->bytes = body->end.size();
    for (const FileBody::Piece& piece : body->pieces) body->bytes += piece.before.size() + piece.size;
    ResponseAccess::set_file(response, std::move(body));
  }

  const std::optional<FileTree> tree_;  // nothing: one file
  const std::string path_;  // of the one file
  const FileOptions options_;
  FileCache cache_;
};

namespace {

Handler handler_of(std::shared_ptr<Files> files) {
  return blocking([files](const Request& request) { return files->from_disk(request); })
      .answer_first([files](const Request& request) { return files->at_hand(request); });
}

}  // namespace
}  // namespace detail

Handler file(std::string path, FileOptions options) {
  if (path.empty()) throw std::invalid_argument{"file(): the path is empty"};
  return detail::handler_of(std::make_shared<detail::Files>(std::nullopt, std::move(path), std::move(options)));
}

Handler static_files(const std::string& root, FileOptions options) {
  return detail::handler_of(std::make_shared<detail::Files>(detail::FileTree{root}, std::string{}, std::move(options)));
}

}  // namespace sluice
