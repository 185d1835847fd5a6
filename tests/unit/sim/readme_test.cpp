// The output that bench/sim/README.md shows is what the program prints, to the byte.
#include <gtest/gtest.h>

#include <sstream>

#include "load/tool/scenario.hpp"
#include "questions.hpp"
#include "sim/tool/cli.hpp"

namespace sluice::sim {
namespace {

TEST(SimReadme, ShowsWhatIsPrinted) {
  const std::string folder = std::string{SLUICE_SOURCE_DIR} + '/';
  const auto page = bench::read_file(folder + "bench/sim/README.md");
  ASSERT_TRUE(page.has_value());
  constexpr std::string_view begin = "```text\n$ build/release/bench/sluice-sim ";
  int shown = 0;
  for (std::size_t at = page->find(begin); at != page->npos; at = page->find(begin, at + 1)) {
    const std::size_t words_at = at + begin.size(), end = page->find('\n', words_at);
    std::istringstream line{page->substr(words_at, end - words_at)};
    std::vector<std::string> words;
    for (std::string word; line >> word;) words.push_back(word);
    words.at(0) = folder + words.at(0);
    const auto command = parse_command(words);
    ASSERT_TRUE(command.has_value()) << command.error().err;
    const std::size_t last = page->find("```", end);
    EXPECT_EQ(page->substr(end + 1, last - end - 1), execute(*command).out);
    ++shown;
  }
  EXPECT_EQ(shown, 3);
}

TEST(SimReadme, ItsExampleFileIsOne) {
  const auto page = bench::read_file(std::string{SLUICE_SOURCE_DIR} + "/bench/sim/README.md");
  ASSERT_TRUE(page.has_value());
  const std::size_t begin = page->find("```json\n") + 8;
  Question question;
  question.scenario = file_of("example.json", page->substr(begin, page->find("```", begin) - begin));
  EXPECT_TRUE(study_of(question).balanced());
}

}  // namespace
}  // namespace sluice::sim
