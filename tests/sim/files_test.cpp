// Files as answers: what is sent of them and under which conditions, what can't be reached, and what happens when a file
// changes or goes away. A real folder behind the simulated network.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <sluice/extra/files.hpp>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Files : public Stage {
 protected:
  Files() {
    std::string name = testing::TempDir() + "/sluice-files-XXXXXX";
    folder = ::mkdtemp(name.data());
    fs::create_directories(folder / "site/sub");
    write("site/index.html", "<p>home</p>");
    write("site/sub/index.html", "<p>sub</p>");
    write("site/a.txt", pattern(1'000));
    write("site/large.bin", pattern(300'000));
    write("site/empty.txt", "");
    write("site/.secret", "hidden");
    write("outside.txt", "outside");
    fs::create_symlink(folder / "outside.txt", folder / "site/escape.txt");
    fs::create_symlink("a.txt", folder / "site/inside.txt");
    fs::create_directory_symlink(folder, folder / "site/up");
  }
  ~Files() override { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& bytes) { std::ofstream{folder / name} << bytes; }
  void add_site(FileOptions files = {}) {
    app.get("/static/{path...}", static_files(folder / "site", files));
    app.get("/one", file(folder / "site/a.txt", files));
  }
  Talker& ask(std::string_view target, std::string_view fields = {}) { return client().get(target, fields); }
  ClientResponse answer(std::string_view target, std::string_view fields = {}) { return ask(target, fields).answer(); }

  fs::path folder;
};

TEST_F(Files, IsSentWithItsTypeAndValidators) {
  add_site({.cache_control = "max-age=60"});
  serve();
  for (const char* target : {"/static/a.txt", "/one", "/static/a.txt?v=1"}) {
    const ClientResponse found = answer(target);
    EXPECT_EQ(found.status, 200) << target;
    EXPECT_EQ(found.body, pattern(1'000));
    EXPECT_EQ(found.header("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(found.header("accept-ranges"), "bytes");
    EXPECT_EQ(found.header("cache-control"), "max-age=60");
    EXPECT_TRUE(found.header("etag").starts_with("\"")) << found.header("etag");
    EXPECT_TRUE(found.header("last-modified").ends_with(" GMT"));
    EXPECT_EQ(found.header("vary"), "");
  }
}

TEST_F(Files, ALargeOneComesFromTheDiskPieceByPiece) {
  add_site();
  for (const bool confirm_later : {false, true}) {
    serve(1, confirm_later);
    stage->net().options().send_buffer_bytes = 10'000;
    Talker& talker = ask("/static/large.bin");
    EXPECT_EQ(talker.answer().body, pattern(300'000));
    EXPECT_EQ(talker.get("/static/a.txt").answer(1).body, pattern(1'000));
    EXPECT_LE(tally().bytes_buffered.read(), 64u * 1024);
    finish();
    add_site();
  }
  serve();
}

TEST_F(Files, AnEmptyOneIsEmpty) {
  add_site();
  serve();
  EXPECT_EQ(answer("/static/empty.txt").status, 200);
  EXPECT_EQ(answer("/static/empty.txt").header("content-length"), "0");
  EXPECT_EQ(answer("/static/empty.txt", "Range: bytes=0-0\r\n").status, 416);
}

TEST_F(Files, HeadSaysWhatGetWould) {
  add_site();
  serve();
  for (const char* target : {"/static/a.txt", "/static/large.bin"}) {
    const ClientResponse got = answer(target);
    Talker& talker = client().ask("HEAD", target, "Range: bytes=0-1\r\n");
    const ClientResponse head = talker.answer();
    EXPECT_EQ(head.status, 200);  // a range is a GET's
    for (const char* name : {"content-length", "etag", "last-modified", "content-type", "accept-ranges"}) {
      EXPECT_EQ(head.header(name), got.header(name)) << name;
    }
    EXPECT_EQ(talker.get("/static/empty.txt").answer(1).status, 200);
  }
}

TEST_F(Files, SmallOnesAreAnsweredFromMemoryOnceTheyWereRead) {
  add_site({.recheck = 1h});
  serve();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer("/static/a.txt").body, pattern(1'000));
  EXPECT_EQ(lane("GET /static/{path...}").queued, 1u);
  EXPECT_EQ(lane("GET /static/{path...}").inlined, 4u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(answer("/static/large.bin").status, 200);
  EXPECT_EQ(lane("GET /static/{path...}").queued, 4u);  // too large to be kept
}

TEST_F(Files, AChangeIsSeenAtTheNextComparison) {
  add_site({.recheck = 0ms});
  serve();
  const std::string before = answer("/static/a.txt").header("etag");
  write("site/a.txt", "changed");
  const ClientResponse found = answer("/static/a.txt");
  EXPECT_EQ(found.body, "changed");
  EXPECT_NE(found.header("etag"), before);
  fs::remove(folder / "site/a.txt");
  EXPECT_EQ(answer("/static/a.txt").status, 404);
}

TEST_F(Files, TheCacheIsBoundedAndForgetsTheLeastRecent) {
  for (int i = 0; i < 20; ++i) write("site/f" + std::to_string(i), pattern(1'000));
  add_site({.cache_bytes_max = 5 * 2'024, .recheck = 1h});
  serve();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(answer("/static/f" + std::to_string(i)).status, 200);
  EXPECT_EQ(lane("GET /static/{path...}").inlined, 0u);
  EXPECT_EQ(answer("/static/f19").status, 200);
  EXPECT_EQ(answer("/static/f15").status, 200);
  EXPECT_EQ(lane("GET /static/{path...}").inlined, 2u);
  EXPECT_EQ(answer("/static/f0").status, 200);
  EXPECT_EQ(lane("GET /static/{path...}").inlined, 2u);
}

// ---- what can't be reached

TEST_F(Files, NothingOutsideOfTheRootIsReached) {
  add_site();
  serve();
  for (const char* target : {"/static/../outside.txt", "/static/%2e%2e/outside.txt", "/static/..%2foutside.txt",
                             "/static/sub/../../outside.txt", "/static/escape.txt", "/static/up/outside.txt",
                             "/static//etc/passwd", "/static/%2fetc/passwd", "/static/./a.txt", "/static/a.txt/",
                             "/static/a.txt%00.html", "/static/..", "/static/sub//index.html"}) {
    const int status = answer(target).status;
    EXPECT_TRUE(status == 404 || status == 400) << target << ": " << status;
  }
  EXPECT_EQ(answer("/static/inside.txt").body, pattern(1'000));  // a link that stays inside
}

TEST_F(Files, DotFilesAreHiddenUnlessWanted) {
  add_site();
  app.get("/all/{rest...}", static_files(folder / "site", {.dot_files = true}));
  serve();
  EXPECT_EQ(answer("/static/.secret").status, 404);
  EXPECT_EQ(answer("/all/.secret").body, "hidden");
  EXPECT_EQ(answer("/all/../outside.txt").status, 400);
}

TEST_F(Files, WhatIsNoFileIs404) {
  ASSERT_EQ(::mkfifo((folder / "site/pipe").c_str(), 0600), 0);
  add_site();
  app.get("/folder", file(folder / "site"));
  app.get("/gone", file(folder / "nowhere"));
  serve();
  EXPECT_EQ(answer("/static/pipe").status, 404);
  EXPECT_EQ(answer("/static/none").status, 404);
  EXPECT_EQ(answer("/static/a.txt/below").status, 404);
  EXPECT_EQ(answer("/folder").status, 404);
  EXPECT_EQ(answer("/gone").status, 404);
  EXPECT_EQ(answer("/static/" + std::string(5'000, 'x')).status, 404);
}

TEST_F(Files, WhatCannotBeReadIs403) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  fs::permissions(folder / "site/a.txt", fs::perms::none);
  add_site();
  serve();
  EXPECT_EQ(answer("/static/a.txt").status, 403);
}

TEST_F(Files, ADirectoryIsItsIndexBehindASlash) {
  add_site();
  app.get("/bare/{path...}", static_files(folder / "site", {.index = ""}));
  fs::create_directory(folder / "site/empty");
  serve();
  EXPECT_EQ(answer("/static/").body, "<p>home</p>");
  EXPECT_EQ(answer("/static/").header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(answer("/static/sub/").body, "<p>sub</p>");
  const ClientResponse redirect = answer("/static/sub?a=b");
  EXPECT_EQ(redirect.status, 301);
  EXPECT_EQ(redirect.header("location"), "/static/sub/?a=b");
  EXPECT_EQ(answer("/static/empty").status, 404);
  EXPECT_EQ(answer("/static/empty/").status, 404);
  EXPECT_EQ(answer("/bare/sub/").status, 404);
  EXPECT_EQ(answer("/bare/sub").status, 404);
}

TEST_F(Files, ARouteWithoutARestParameterIsAMistakeThatIsToldToTheLog) {
  app.get("/fixed", static_files(folder / "site"));
  serve();
  EXPECT_EQ(answer("/fixed").status, 500);
  ASSERT_FALSE(log.empty());
  EXPECT_NE(log.back().detail.find("{path...}"), std::string::npos);
}

TEST_F(Files, ARootThatIsNotThereIsAnErrorAtOnce) {
  EXPECT_THROW(static_files(folder / "nowhere"), std::system_error);
  EXPECT_THROW(static_files(folder / "site/a.txt"), std::system_error);
  EXPECT_THROW(file(""), std::invalid_argument);
  EXPECT_THROW(file("x", {.cache_control = "a\r\nb"}), std::invalid_argument);
}

// ---- conditions and ranges

TEST_F(Files, ConditionsOnTagAndDate) {
  add_site({.cache_control = "max-age=60"});
  serve();
  const ClientResponse found = answer("/one");
  const std::string tag = found.header("etag");
  const std::string date = found.header("last-modified");
  const auto status = [&](const std::string& fields) { return answer("/one", fields).status; };
  EXPECT_EQ(status("If-None-Match: " + tag + "\r\n"), 304);
  EXPECT_EQ(status("If-None-Match: W/" + tag + "\r\n"), 304);
  EXPECT_EQ(status("If-None-Match: \"x\"\r\nIf-None-Match: " + tag + "\r\n"), 304);
  EXPECT_EQ(status("If-None-Match: *\r\n"), 304);
  EXPECT_EQ(status("If-None-Match: \"x\"\r\n"), 200);
  EXPECT_EQ(status("If-Modified-Since: " + date + "\r\n"), 304);
  EXPECT_EQ(status("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), 200);
  EXPECT_EQ(status("If-None-Match: \"x\"\r\nIf-Modified-Since: " + date + "\r\n"), 200);
  EXPECT_EQ(status("If-Match: " + tag + "\r\n"), 200);
  EXPECT_EQ(status("If-Match: \"x\"\r\n"), 412);
  EXPECT_EQ(status("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), 412);
  const ClientResponse unchanged = answer("/one", "If-None-Match: " + tag + "\r\n");
  EXPECT_EQ(unchanged.header("etag"), tag);
  EXPECT_EQ(unchanged.header("cache-control"), "max-age=60");
  EXPECT_EQ(unchanged.header("content-type"), "");
  EXPECT_EQ(unchanged.body, "");
}

TEST_F(Files, OneRangeOfOneFileFromMemoryAndFromDisk) {
  add_site({.recheck = 1h});
  serve();
  const struct {
    const char* target;
    std::string whole;
  } files[] = {{"/static/a.txt", pattern(1'000)}, {"/static/large.bin", pattern(300'000)}};
  for (const auto& one : files) {
    const std::string size = std::to_string(one.whole.size());
    for (int again = 0; again < 2; ++again) {
      const ClientResponse first = answer(one.target, "Range: bytes=10-19\r\n");
      EXPECT_EQ(first.status, 206);
      EXPECT_EQ(first.body, one.whole.substr(10, 10));
      EXPECT_EQ(first.header("content-range"), "bytes 10-19/" + size);
      EXPECT_EQ(first.header("content-length"), "10");
      EXPECT_EQ(answer(one.target, "Range: bytes=-7\r\n").body, one.whole.substr(one.whole.size() - 7));
      EXPECT_EQ(answer(one.target, "Range: bytes=990-\r\n").body, one.whole.substr(990));
      const ClientResponse none = answer(one.target, "Range: bytes=999999-\r\n");
      EXPECT_EQ(none.status, 416);
      EXPECT_EQ(none.header("content-range"), "bytes */" + size);
      EXPECT_EQ(answer(one.target, "Range: lines=1-2\r\n").status, 200);
      EXPECT_EQ(answer(one.target, "Range: bytes=5-2\r\n").status, 200);
    }
  }
}

TEST_F(Files, SeveralRangesAreAMultipartBodyOfExactlyItsLength) {
  add_site({.recheck = 1h});
  serve();
  for (const char* target : {"/static/a.txt", "/static/a.txt", "/static/large.bin"}) {
    Talker& talker = ask(target, "Range: bytes=0-4,100-104,-3\r\n");
    const ClientResponse found = talker.answer();
    EXPECT_EQ(found.status, 206);
    const std::string type = found.header("content-type");
    ASSERT_TRUE(type.starts_with("multipart/byteranges; boundary=")) << type;
    EXPECT_EQ(found.header("content-range"), "");
    const std::string boundary = "--" + type.substr(type.find('=') + 1);
    std::size_t parts = 0;
    for (std::size_t at = found.body.find(boundary); at != std::string::npos; at = found.body.find(boundary, at + 1)) {
      ++parts;
    }
    EXPECT_EQ(parts, 4u);
    const std::string whole = target == std::string{"/static/large.bin"} ? pattern(300'000) : pattern(1'000);
    EXPECT_NE(found.body.find("\r\n\r\n" + whole.substr(100, 5) + "\r\n"), std::string::npos);
    EXPECT_TRUE(found.body.ends_with(boundary + "--\r\n"));
    EXPECT_EQ(talker.get("/static/empty.txt").answer(1).status, 200);  // nothing too much, nothing too little
  }
}

TEST_F(Files, OverlappingRangesSendNoByteTwice) {
  add_site();
  serve();
  std::string field = "Range: bytes=0-999";
  for (int i = 0; i < 14; ++i) field += ",0-999";
  const ClientResponse found = answer("/static/a.txt", field + "\r\n");
  EXPECT_EQ(found.body, pattern(1'000));
  for (int i = 0; i < 10; ++i) field += ",1-2";
  EXPECT_EQ(answer("/static/a.txt", field + "\r\n").status, 200);  // too many: everything
}

TEST_F(Files, IfRangeDecidesBetweenAPartAndTheWhole) {
  add_site();
  serve();
  const std::string tag = answer("/one").header("etag");
  EXPECT_EQ(answer("/one", "Range: bytes=0-1\r\nIf-Range: " + tag + "\r\n").status, 206);
  EXPECT_EQ(answer("/one", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n").status, 200);
  EXPECT_EQ(answer("/one", "Range: bytes=0-1\r\nIf-Range: W/" + tag + "\r\n").status, 200);
}

// ---- precompressed siblings

TEST_F(Files, ASiblingIsSentToWhoAcceptsItsCoding) {
  write("site/a.txt.gz", "as gzip");
  write("site/a.txt.br", "as brotli");
  add_site();
  serve();
  for (int again = 0; again < 2; ++again) {
    const ClientResponse gzip = answer("/static/a.txt", "Accept-Encoding: gzip\r\n");
    EXPECT_EQ(gzip.body, "as gzip");
    EXPECT_EQ(gzip.header("content-encoding"), "gzip");
    EXPECT_EQ(gzip.header("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(gzip.header("vary"), "Accept-Encoding");
    EXPECT_EQ(answer("/static/a.txt", "Accept-Encoding: gzip, br\r\n").body, "as brotli");
    EXPECT_EQ(answer("/static/a.txt", "Accept-Encoding: br;q=0.1, gzip\r\n").body, "as gzip");
    const ClientResponse plain = answer("/static/a.txt");
    EXPECT_EQ(plain.body, pattern(1'000));
    EXPECT_EQ(plain.header("vary"), "Accept-Encoding");
    EXPECT_EQ(plain.header("content-encoding"), "");
    EXPECT_NE(plain.header("etag"), gzip.header("etag"));
    EXPECT_EQ(answer("/static/a.txt", "Accept-Encoding: zstd\r\n").body, pattern(1'000));
  }
}

TEST_F(Files, AnOlderSiblingIsNotUsed) {
  write("site/a.txt.gz", "stale");
  fs::last_write_time(folder / "site/a.txt.gz", fs::last_write_time(folder / "site/a.txt") - 10s);
  add_site();
  serve();
  EXPECT_EQ(answer("/static/a.txt", "Accept-Encoding: gzip\r\n").body, pattern(1'000));
}

// ---- files that change under way

TEST_F(Files, OneThatBecomesShorterEndsTheConnection) {
  add_site();
  serve();
  stage->net().options().send_buffer_bytes = 10'000;
  Talker& talker = client();
  talker.net().set_window(20'000);
  talker.get("/static/large.bin");
  ASSERT_TRUE(until([&] { return talker.received().size() >= 20'000; }));
  fs::resize_file(folder / "site/large.bin", 50'000);
  talker.net().set_window(net::SimClient::unlimited);
  EXPECT_TRUE(talker.ended());
  EXPECT_LT(talker.received().size(), 60'000u);
  EXPECT_FALSE(talker.answers()[0].complete);
}

TEST_F(Files, OneThatIsReplacedUnderWayIsStillSentWhole) {
  add_site();
  serve();
  stage->net().options().send_buffer_bytes = 10'000;
  Talker& talker = client();
  talker.net().set_window(20'000);
  talker.get("/static/large.bin");
  ASSERT_TRUE(until([&] { return talker.received().size() >= 20'000; }));
  write("site/new.bin", "new");
  fs::rename(folder / "site/new.bin", folder / "site/large.bin");
  talker.net().set_window(net::SimClient::unlimited);
  EXPECT_EQ(talker.answer().body, pattern(300'000));
  EXPECT_EQ(talker.get("/static/large.bin").answer(1).body, "new");
}

TEST_F(Files, AReaderThatStopsIsCutOffAndTheFileClosed) {
  add_site();
  serve();
  stage->net().options().send_buffer_bytes = 10'000;
  const auto open_files = [] {
    return std::distance(fs::directory_iterator{"/proc/self/fd"}, fs::directory_iterator{});
  };
  const auto before = open_files();
  Talker& talker = client();
  talker.net().set_window(20'000);
  talker.get("/static/large.bin");
  ASSERT_TRUE(until([&] { return talker.received().size() >= 20'000; }));
  EXPECT_EQ(open_files(), before + 1);
  EXPECT_TRUE(talker.ended());
  EXPECT_EQ(tally().slow_readers.read(), 1u);
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace sluice::sim
