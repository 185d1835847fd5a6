// head_writer_test.cpp: the exact bytes of response heads.
#include "http/head_writer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

namespace sluice::http {
namespace {

const DateLine date{784'887'151};

std::string written(const ResponseHead& head) {
  const std::size_t bound = head_bound(head);
  const std::unique_ptr<char[]> block{new char[bound]};  // a sanitizer sees the first byte too many
  const char* const end = write_head(block.get(), head, date);
  EXPECT_LE(static_cast<std::size_t>(end - block.get()), bound);
  return {block.get(), static_cast<std::size_t>(end - block.get())};
}

const std::string date_line = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n";

TEST(HeadWriter, WritesTheUsualAnswer) {
  EXPECT_EQ(written({.content_type = "text/plain", .content_length = 13}),
            "HTTP/1.1 200 OK\r\n" + date_line + "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\n");
}

TEST(HeadWriter, PutsABodyOfAnySizeBehindTheHeadAndNothingBehindThat) {
  const ResponseHead head{.content_type = "text/plain", .content_length = 13};
  const std::string alone = written(head);
  for (std::size_t size = 0; size <= 80; ++size) {
    std::string body(size, ' ');
    for (std::size_t at = 0; at < size; ++at) body[at] = static_cast<char>('!' + at);  // no two bytes alike
    const std::string kept(8, '\xAA');
    std::string block(alone.size() + size + kept.size(), '\xAA');
    const char* const end = write_head(block.data(), head, date, body);
    ASSERT_EQ(static_cast<std::size_t>(end - block.data()), alone.size() + size);
    ASSERT_EQ(block, alone + body + kept) << size;
  }
}

TEST(HeadWriter, WritesEveryPartInOrder) {
  EXPECT_EQ(written({.status = 404,
                     .content_type = "a/b",
                     .fields = "X: 1\r\nY: 2\r\n",
                     .content_length = 0,
                     .connection = ResponseHead::Connection::close}),
            "HTTP/1.1 404 Not Found\r\n" + date_line +
                "Content-Type: a/b\r\nContent-Length: 0\r\nConnection: close\r\nX: 1\r\nY: 2\r\n\r\n");
  EXPECT_EQ(written({.connection = ResponseHead::Connection::keep_alive, .length = false}),
            "HTTP/1.1 200 OK\r\n" + date_line + "Connection: keep-alive\r\n\r\n");
}

TEST(HeadWriter, NeverFramesWhatHasNoBody) {
  for (const int status : {100, 101, 103, 204, 304}) {
    EXPECT_EQ(written({.status = static_cast<std::uint16_t>(status), .content_length = 5}).find("Content-Length"),
              std::string::npos)
        << status;
  }
  EXPECT_NE(written({.status = 205}).find("Content-Length: 0\r\n"), std::string::npos);
}

TEST(HeadWriter, StatusesWithoutANameAreStillWellFormed) {
  EXPECT_EQ(written({.status = 299, .length = false}), "HTTP/1.1 299 Unknown\r\n" + date_line + "\r\n");
  EXPECT_EQ(written({.status = 599, .length = false}).substr(0, 22), "HTTP/1.1 599 Unknown\r\n");
  EXPECT_TRUE(status_line(0).empty());
  EXPECT_TRUE(status_line(65'535).empty());
  written({.status = 65'535});
}

TEST(HeadWriter, EveryStatusLineFitsItsBoundAndNamesItsStatus) {
  int named = 0;
  for (int status = 0; status < 1'000; ++status) {
    const std::string_view line = status_line(static_cast<std::uint16_t>(status));
    if (line.empty()) continue;
    ++named;
    EXPECT_EQ(line.substr(0, 13), "HTTP/1.1 " + std::to_string(status) + " ");
    EXPECT_EQ(line.substr(line.size() - 2), "\r\n");
    EXPECT_LE(line.size(), 48u);
    written({.status = static_cast<std::uint16_t>(status),
             .content_type = "x",
             .content_length = std::numeric_limits<std::uint64_t>::max(),
             .connection = ResponseHead::Connection::keep_alive});
  }
  EXPECT_GT(named, 50);
}

TEST(HeadWriter, DecimalsAreExact) {
  for (const std::uint64_t number :
       {0ull, 9ull, 10ull, 99ull, 100ull, 101ull, 12'345ull, 999'999ull, 1'000'000ull, ~0ull}) {
    char text[20];
    EXPECT_EQ((std::string{text, write_decimal(text, number)}), std::to_string(number));
  }
}

}  // namespace
}  // namespace sluice::http
