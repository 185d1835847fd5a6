#include "support/live_client.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/address.hpp"

namespace sluice::live {

Client::Client(const std::string& address) {
  const auto parsed = net::Address::parse(address);
  if (!parsed) {
    ADD_FAILURE() << address << ": " << parsed.error();
    return;
  }
  fd_ = base::Fd{::socket(parsed->family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const timeval patience{20, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  connected_ = ::connect(fd_.get(), parsed->data(), parsed->size()) == 0;
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Client::ask(std::string_view method, std::string_view target, std::string_view fields, std::string_view body) {
  std::string bytes{method};
  bytes += ' ';
  bytes += target;
  bytes += " HTTP/1.1\r\nHost: h\r\n";
  bytes += fields;
  if (!body.empty()) bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  bytes += "\r\n";
  bytes += body;
  return send(bytes);
}

bool Client::fill() {
  char piece[65'536];
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      EXPECT_NE(errno, EAGAIN) << "nothing came for 20 s";
      reset_ = errno == ECONNRESET;
    }
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
}

bool Client::until_size(std::size_t size) {
  while (buffer_.size() < size) {
    if (!fill()) return false;
  }
  return true;
}

ClientResponse Client::read(std::string_view method) {
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (fill()) continue;
    return {};
  }
  std::string error;
  // Only the head as yet: its length says how much follows.
  auto head = sim::read_responses(std::string_view{buffer_}.substr(0, end + 4), {std::string{method}}, error);
  EXPECT_EQ(error, "");
  if (head.empty()) {  // an interim answer
    buffer_.erase(0, end + 4);
    return read(method);
  }
  std::size_t body = 0;
  if (!head[0].complete && !head[0].header("content-length").empty()) {
    body = std::stoul(head[0].header("content-length"));
  }
  const bool whole = until_size(end + 4 + body);
  head[0].body = buffer_.substr(end + 4, body);
  head[0].complete = whole;
  buffer_.erase(0, end + 4 + body);
  return head[0];
}

std::string Client::read_to_end() {
  while (fill()) continue;
  return std::exchange(buffer_, {});
}

void Client::half_close() { ::shutdown(fd_.get(), SHUT_WR); }

void Client::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

}  // namespace sluice::live
