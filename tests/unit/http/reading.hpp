// reading.hpp: reads raw bytes the way a connection does, and puts what it understood into one line of text.
// In: bytes in any pieces. Out: for each message "ok" (":" and the body if there was one) or the refusal's status; then
// "more" if a message is incomplete, or "closed" if the connection would have ended. Test code; one thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "http/chunked.hpp"
#include "http/head_guard.hpp"
#include "http/parser.hpp"

namespace sluice::http::test {

class Reading {
 public:
  explicit Reading(const HeadLimits& limits = {}) : limits_{limits} {}

  void feed(std::string_view piece) {
    if (over_) return;
    pending_ += piece;
    while (!over_ && step()) {}
  }

  /// What has been understood so far.
  std::string verdict() const {
    std::string text = text_;
    if (!over_ && (in_body_ || !pending_.empty())) text += text.empty() ? "more" : " more";
    return text;
  }
  const Head& head() const { return head_; }
  /// The bytes of the last complete head; what head()'s slices refer to.
  const char* head_bytes() const { return head_bytes_.c_str(); }

 private:
  static constexpr std::uint64_t body_bytes_max = 1'000'000;

  bool step() { return in_body_ ? read_body() : read_head(); }

  bool read_head() {
    if (pending_.empty()) return false;
    // A fresh block of exactly this size: offsets must survive a move, and a sanitizer sees the first byte too many.
    const std::size_t size = pending_.size();
    const std::unique_ptr<char[]> block{new char[size]};
    std::memcpy(block.get(), pending_.data(), size);
    const Scan scan = guard_.scan({block.get(), size}, limits_, head_);
    if (scan == Scan::rejected) return refuse(guard_.reject());
    if (scan == Scan::need_more) return false;
    const std::size_t head_size = guard_.head_size();
    const auto parsed = parser_.parse({block.get(), head_size}, guard_, head_);
    if (!parsed) return refuse(parsed.error());
    if (head_.content_length > body_bytes_max) return refuse({413, "body too large"});
    head_bytes_.assign(block.get(), head_size);
    pending_.erase(0, head_size);
    guard_.reset();
    body_.clear();
    in_body_ = true;
    decoder_.reset();
    if (head_.framing == Framing::none) end_message(false);
    return true;
  }

  bool read_body() {
    if (head_.framing == Framing::chunked) return read_chunked();
    const std::size_t taken = std::min<std::size_t>(pending_.size(), head_.content_length - body_.size());
    body_.append(pending_, 0, taken);
    pending_.erase(0, taken);
    if (body_.size() < head_.content_length) return false;
    end_message(true);
    return true;
  }

  bool read_chunked() {
    const std::unique_ptr<char[]> block{new char[pending_.size()]};
    std::memcpy(block.get(), pending_.data(), pending_.size());
    const auto step = decoder_.next({block.get(), pending_.size()});
    body_ += step.data;
    pending_.erase(0, step.consumed);
    switch (step.kind) {
      case ChunkedDecoder::Step::Kind::need_more: return false;
      case ChunkedDecoder::Step::Kind::data:
        return decoder_.announced() <= body_bytes_max || refuse({413, "body too large"});
      case ChunkedDecoder::Step::Kind::done: end_message(true); return true;
      case ChunkedDecoder::Step::Kind::rejected: return refuse(step.reject);
    }
    return false;
  }

  void end_message(bool with_body) {
    add(with_body ? "ok:" + body_ : "ok");
    in_body_ = false;
    if (head_.close) {
      add("closed");
      over_ = true;
    }
  }

  bool refuse(const Reject& reject) {
    add(std::to_string(reject.status));
    over_ = true;
    return false;
  }

  void add(std::string_view word) {
    if (!text_.empty()) text_ += ' ';
    text_ += word;
  }

  HeadLimits limits_;
  HeadGuard guard_;
  HeadParser parser_;
  Head head_;
  ChunkedDecoder decoder_;
  std::string pending_{};
  std::string head_bytes_{};
  std::string body_{};
  std::string text_{};
  bool in_body_ = false;
  bool over_ = false;
};

inline std::string read_whole(std::string_view bytes) {
  Reading reading;
  reading.feed(bytes);
  return reading.verdict();
}

inline std::string read_split(std::string_view bytes, std::size_t at) {
  Reading reading;
  reading.feed(bytes.substr(0, at));
  reading.feed(bytes.substr(at));
  return reading.verdict();
}

inline std::string read_bytewise(std::string_view bytes) {
  Reading reading;
  for (const char& c : bytes) reading.feed({&c, 1});
  return reading.verdict();
}

}  // namespace sluice::http::test
