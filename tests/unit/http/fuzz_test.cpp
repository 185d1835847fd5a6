// fuzz_test.cpp: seeded mutations of messages. No input may crash, and the cut must never change the verdict.
// SLUICE_FUZZ_SEED and SLUICE_FUZZ_ROUNDS in the environment override the fixed seed and the number of mutations.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "reading.hpp"
#include "support/message_vectors.hpp"

namespace sluice::http::test {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<Vector>& corpus) : random_{seed}, corpus_{corpus} {}

  std::string next() {
    std::string bytes = pick();
    for (std::size_t count = 1 + below(4); count > 0; --count) mutate(bytes);
    return bytes;
  }
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

 private:
  const std::string& pick() {
    for (;;) {
      const std::string& bytes = corpus_[below(corpus_.size())].bytes;
      if (bytes.size() < 400) return bytes;
    }
  }

  void mutate(std::string& bytes) {
    static const std::string pieces[] = {"\r\n",
                                         "\n",
                                         "\r",
                                         "\r\n\r\n",
                                         " ",
                                         "\t",
                                         ":",
                                         ";",
                                         ",",
                                         "\"",
                                         "0",
                                         "%",
                                         "%2e",
                                         "/",
                                         "..",
                                         "?",
                                         "=",
                                         "chunked",
                                         "Content-Length: 5\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Host: h\r\n",
                                         "Connection: close\r\n",
                                         "HTTP/1.1",
                                         "GET / HTTP/1.1\r\n",
                                         std::string(1, '\0'),
                                         "\x7f",
                                         "\xff",
                                         "5\r\nhello\r\n",
                                         "0\r\n\r\n"};
    const std::size_t at = below(bytes.size() + 1);
    switch (below(6)) {
      case 0: bytes.insert(at, 1, static_cast<char>(below(256))); break;
      case 1: bytes.erase(at, 1 + below(3)); break;
      case 2:
        if (at < bytes.size()) bytes[at] = static_cast<char>(below(256));
        break;
      case 3: bytes.insert(at, pieces[below(std::size(pieces))]); break;
      case 4:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      default: {
        const std::string& other = pick();
        const std::size_t from = below(other.size());
        bytes.insert(at, other, from, below(40));
      }
    }
  }

  std::mt19937_64 random_;
  const std::vector<Vector>& corpus_;
};

TEST(Fuzz, MutatedMessagesNeverCrashAndTheCutNeverMatters) {
  const std::uint64_t seed = setting("SLUICE_FUZZ_SEED", 20'260'801);
  const std::uint64_t rounds = setting("SLUICE_FUZZ_ROUNDS", 200'000);
  SCOPED_TRACE("SLUICE_FUZZ_SEED=" + std::to_string(seed));
  const auto corpus = all_vectors();
  Mutator mutator{seed, corpus};
  std::uint64_t accepted = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::string bytes = mutator.next();
    const std::string whole = read_whole(bytes);
    accepted += whole.starts_with("ok") ? 1 : 0;
    ASSERT_EQ(whole, read_bytewise(bytes)) << "round " << round << ": " << ::testing::PrintToString(bytes);
    if (!bytes.empty()) {
      const std::size_t at = mutator.below(bytes.size());
      ASSERT_EQ(whole, read_split(bytes, at))
          << "round " << round << " cut at " << at << ": " << ::testing::PrintToString(bytes);
    }
  }
  EXPECT_GT(accepted, rounds / 20);  // else the mutations are too wild to say anything
  EXPECT_LT(accepted, rounds / 2);
}

}  // namespace
}  // namespace sluice::http::test
