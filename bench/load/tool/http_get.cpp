// http_get.cpp: a blocking client that gives up early. Not the load: nothing here is measured.
// Source: RFC 9112 6 and 7 (where a body ends).
#include "load/tool/http_get.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace sluice::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// What is left until `deadline`, as poll() takes it.
int left_ms(SteadyClock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

bool wait_for(int fd, short events, SteadyClock::time_point deadline) {
  ::pollfd ready{fd, events, 0};
  for (;;) {
    const int count = ::poll(&ready, 1, left_ms(deadline));
    if (count >= 0 || errno != EINTR) return count == 1;
  }
}

char lower(char letter) noexcept { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter; }

bool same_text(std::string_view left, std::string_view right) noexcept {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<std::string_view> header(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_text(line.substr(0, colon), name))
      return trimmed(line.substr(colon + 1));
  }
  return std::nullopt;
}

template <class T>
std::optional<T> whole_number(std::string_view digits, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::expected<std::string, Wants> join_chunks(std::string_view bytes) {
  std::string body;
  for (;;) {
    const std::size_t line = bytes.find("\r\n");
    if (line == std::string_view::npos) return std::unexpected{Wants::more};
    const auto size = whole_number<std::size_t>(trimmed(bytes.substr(0, std::min(bytes.find(';'), line))), 16);
    if (!size || *size > HttpGet::answer_bytes_max) return std::unexpected{Wants::nothing};
    bytes.remove_prefix(line + 2);
    if (*size == 0) {
      // Trailers, if any, end in an empty line.
      const bool ended = bytes.starts_with("\r\n") || bytes.find("\r\n\r\n") != std::string_view::npos;
      if (!ended) return std::unexpected{Wants::more};
      return body;
    }
    if (bytes.size() < *size + 2) return std::unexpected{Wants::more};
    body.append(bytes.substr(0, *size));
    bytes.remove_prefix(*size + 2);
  }
}

}  // namespace

std::expected<Answer, Wants> read_answer(std::string_view bytes, bool ended) {
  const Wants missing = ended || bytes.size() > HttpGet::answer_bytes_max ? Wants::nothing : Wants::more;
  constexpr std::string_view protocol = "HTTP/1.";
  constexpr std::size_t version_at = protocol.size(), status_at = 9;
  Answer answer;
  std::string_view head, rest = bytes;
  while (answer.status < 200) {  // before it there may be a 100 Continue and its like
    const std::size_t head_end = rest.find("\r\n\r\n");
    if (!rest.starts_with(protocol.substr(0, rest.size()))) return std::unexpected{Wants::nothing};
    if (head_end == std::string_view::npos) return std::unexpected{missing};
    head = rest.substr(0, head_end);
    rest.remove_prefix(head_end + 4);
    const auto status = head.size() < status_at + 3 ? std::nullopt : whole_number<unsigned>(head.substr(status_at, 3));
    if (!status || *status < 100) return std::unexpected{Wants::nothing};
    answer.status = *status;
  }
  answer.keeps_connection = head[version_at] != '0' && !same_text(header(head, "connection").value_or(""), "close");
  if (header(head, "transfer-encoding")) {
    auto body = join_chunks(rest);
    if (!body) return std::unexpected{body.error() == Wants::more ? missing : Wants::nothing};
    answer.body = std::move(*body);
  } else if (const auto length = header(head, "content-length")) {
    const auto size = whole_number<std::size_t>(*length);
    if (!size || *size > HttpGet::answer_bytes_max) return std::unexpected{Wants::nothing};
    if (rest.size() < *size) return std::unexpected{missing};
    answer.body = rest.substr(0, *size);
  } else {
    if (!ended) return std::unexpected{missing};
    answer.body = rest;
    answer.keeps_connection = false;
  }
  return answer;
}

std::optional<std::string> HttpGet::fetch() {
  const bool kept = static_cast<bool>(fd_);
  if (!kept && !connect()) return std::nullopt;
  auto answer = ask();
  if (!answer && kept && connect()) answer = ask();  // the server may have ended an idle connection
  if (!answer || !answer->keeps_connection) fd_.reset();
  if (!answer || answer->status != 200) return std::nullopt;
  return std::move(answer->body);
}

bool HttpGet::connect() {
  fd_ = base::Fd{::socket(target_.address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd_) return false;
  const auto deadline = SteadyClock::now() + timeout;
  if (::connect(fd_.get(), target_.address.data(), target_.address.size()) == 0) return true;
  int error = errno;
  ::socklen_t size = sizeof error;
  if (error == EINPROGRESS && wait_for(fd_.get(), POLLOUT, deadline)) {
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  }
  if (error != 0) fd_.reset();
  return error == 0;
}

std::optional<Answer> HttpGet::ask() {
  const std::string request =
      "GET " + target_.path + " HTTP/1.1\r\nHost: " + target_.host + "\r\nAccept: application/json\r\n\r\n";
  const auto deadline = SteadyClock::now() + timeout;
  // A few hundred bytes always fit into the buffer of a connection that works.
  if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<::ssize_t>(request.size())) {
    return std::nullopt;
  }
  std::string bytes;
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    if (!wait_for(fd_.get(), POLLIN, deadline)) return std::nullopt;
    const ::ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return std::nullopt;
    bytes.append(buffer.data(), static_cast<std::size_t>(count));
    auto answer = read_answer(bytes, count == 0);
    if (answer) return std::move(*answer);
    if (answer.error() == Wants::nothing || count == 0) return std::nullopt;
  }
}

}  // namespace sluice::bench
