// scenario_test.cpp: loads in JSON files: every key arrives where it belongs, every mistake is named with its place.
#include "load/tool/scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

/// A folder of this test alone.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "sluice-scenario-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path file(const std::string& name, const std::string& text) const {
    std::ofstream{path_ / name} << text;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_{};
};

std::string problem_of(std::string_view json) {
  const auto load = parse_scenario(json, {});
  return load ? "no problem" : load.error();
}

/// The problem of one client with these members.
std::string problem_of_client(const std::string& members) { return problem_of("{\"clients\":[{" + members + "}]}"); }

TEST(Scenario, HasTheDefaultsOfALoadWhereItSaysNothing) {
  const auto load = parse_scenario("{}", {});
  ASSERT_TRUE(load) << load.error();
  EXPECT_EQ(load->duration, Load{}.duration);
  EXPECT_EQ(load->threads, 1U);
  ASSERT_EQ(load->clients.size(), 1U);
  EXPECT_EQ(load->clients[0].connections, Clients{}.connections);
  EXPECT_TRUE(load->clients[0].requests.empty());
}

TEST(Scenario, SetsEverythingOfALoad) {
  const auto load = parse_scenario(R"({"name":"mixed","url":"http://127.0.0.1:8080/a","threads":2,"duration":"60s",
      "warmup":"2s","grace":"1s","window":"100ms","connect_timeout":"300ms","seed":7,"sources":["127.0.0.2","127.0.0.3"]})",
                                   {});
  ASSERT_TRUE(load) << load.error();
  EXPECT_EQ(load->name, "mixed");
  EXPECT_EQ(load->url, "http://127.0.0.1:8080/a");
  EXPECT_EQ(load->threads, 2U);
  EXPECT_EQ(load->duration, seconds{60});
  EXPECT_EQ(load->warmup, seconds{2});
  EXPECT_EQ(load->grace, seconds{1});
  EXPECT_EQ(load->window, milliseconds{100});
  EXPECT_EQ(load->connect_timeout, milliseconds{300});
  EXPECT_EQ(load->seed, 7U);
  EXPECT_THAT(load->sources, ElementsAre("127.0.0.2", "127.0.0.3"));
}

TEST(Scenario, SetsEverythingOfClients) {
  const auto load = parse_scenario(R"({"clients":[{"name":"readers","connections":9,"rate":"20k","arrival":"poisson",
      "pattern":{"kind":"burst","high":5,"low":0,"on":"2s","off":"3s"},"pipeline":4,"requests_per_connection":10,
      "read_rate":"10k","write_rate":100,"give_up_after":"300ms","retries":2,"retry_backoff":"50ms",
      "deadline":"250ms","deadline_header":"x-budget"}]})",
                                   {});
  ASSERT_TRUE(load) << load.error();
  const Clients& clients = load->clients.at(0);
  EXPECT_EQ(clients.name, "readers");
  EXPECT_EQ(clients.connections, 9U);
  EXPECT_DOUBLE_EQ(clients.rate_per_s, 20'000);
  EXPECT_EQ(clients.arrival, Arrival::poisson);
  EXPECT_EQ(clients.pattern.kind, Pattern::Kind::burst);
  EXPECT_DOUBLE_EQ(clients.pattern.high, 5);
  EXPECT_DOUBLE_EQ(clients.pattern.low, 0);
  EXPECT_EQ(clients.pattern.on, seconds{2});
  EXPECT_EQ(clients.pattern.off, seconds{3});
  EXPECT_EQ(clients.behaviour.pipeline, 4U);
  EXPECT_EQ(clients.behaviour.requests_per_connection, 10U);
  EXPECT_GE(clients.behaviour.read_bytes_per_s, 10'000U);
  EXPECT_EQ(clients.behaviour.write_bytes_per_s, 100U);
  EXPECT_EQ(clients.behaviour.give_up_after, milliseconds{300});
  EXPECT_EQ(clients.behaviour.retries, 2U);
  EXPECT_EQ(clients.behaviour.retry_backoff, milliseconds{50});
  EXPECT_EQ(clients.behaviour.deadline, milliseconds{250});
  EXPECT_EQ(clients.behaviour.deadline_header, "x-budget");
}

TEST(Scenario, SetsEverythingOfARequest) {
  const auto load = parse_scenario(R"({"clients":[{"requests":[{"method":"PUT","target":"/items/{seq}",
      "headers":{"Accept":"text/plain","Cookie":["a=1","b=2"]},"body":"hello","weight":3}]}]})",
                                   {});
  ASSERT_TRUE(load) << load.error();
  const RequestSpec& request = load->clients.at(0).requests.at(0);
  EXPECT_EQ(request.method, "PUT");
  EXPECT_EQ(request.target, "/items/{seq}");
  EXPECT_THAT(request.headers, ElementsAre(Pair("Accept", "text/plain"), Pair("Cookie", "a=1"), Pair("Cookie", "b=2")));
  EXPECT_EQ(request.body, "hello");
  EXPECT_DOUBLE_EQ(request.weight, 3);
}

TEST(Scenario, TakesRatesAsNumbersTextsAndNull) {
  const auto load = parse_scenario(R"({"clients":[{"rate":1500.5},{"rate":"2k"},{"rate":null}]})", {});
  ASSERT_TRUE(load) << load.error();
  EXPECT_DOUBLE_EQ(load->clients.at(0).rate_per_s, 1500.5);
  EXPECT_DOUBLE_EQ(load->clients.at(1).rate_per_s, 2000);
  EXPECT_DOUBLE_EQ(load->clients.at(2).rate_per_s, 0);
}

TEST(Scenario, PutsBackgroundClientsLast) {
  const auto load = parse_scenario(
      R"({"clients":[{"name":"slow","background":true},{"name":"first"},{"name":"second","background":false}]})", {});
  ASSERT_TRUE(load) << load.error();
  EXPECT_EQ(load->background, 1U);
  EXPECT_EQ(load->clients.at(0).name, "first");
  EXPECT_EQ(load->clients.at(1).name, "second");
  EXPECT_EQ(load->clients.at(2).name, "slow");
}

TEST(Scenario, RefusesALoadThatOnlyDisturbs) {
  EXPECT_THAT(problem_of(R"({"clients":[{"background":true}]})"), StartsWith("clients: "));
  EXPECT_THAT(problem_of(R"({"clients":[]})"), StartsWith("clients: "));
}

TEST(Scenario, FindsBodyFilesBesideItself) {
  const Folder folder;
  folder.file("body.json", "{\"a\":1}");
  const auto file =
      folder.file("load.json", R"({"clients":[{"requests":[{"method":"POST","body_file":"body.json"}]}]})");
  const auto load = read_scenario(file);
  ASSERT_TRUE(load) << load.error();
  EXPECT_EQ(load->clients.at(0).requests.at(0).body, "{\"a\":1}");
}

TEST(Scenario, NamesABodyFileThatIsMissing) {
  EXPECT_THAT(problem_of_client(R"("requests":[{"body_file":"/nowhere/x.json"}])"),
              AllOf(StartsWith("clients[0].requests[0].body_file: /nowhere/x.json"), HasSubstr("No such file")));
}

TEST(Scenario, MakesBodiesOfASize) {
  const auto load = parse_scenario(R"({"clients":[{"requests":[{"body_bytes":100}]}]})", {});
  ASSERT_TRUE(load) << load.error();
  const std::string& body = load->clients.at(0).requests.at(0).body;
  EXPECT_EQ(body.size(), 100U);
  EXPECT_EQ(body.find('{'), std::string::npos);
}

TEST(Scenario, RefusesTwoBodies) {
  EXPECT_THAT(problem_of_client(R"("requests":[{"body":"a","body_bytes":1}])"),
              StartsWith("clients[0].requests[0]: has more than one of body"));
}

TEST(Scenario, NamesAnUnknownKeyAndItsPlace) {
  EXPECT_THAT(problem_of(R"({"durations":"1s"})"), StartsWith("unknown key \"durations\""));
  EXPECT_THAT(problem_of_client(R"("conections":1)"), StartsWith("clients[0]: unknown key \"conections\""));
  EXPECT_THAT(problem_of(R"({"clients":[{},{"requests":[{},{"metod":"GET"}]}]})"),
              AllOf(StartsWith("clients[1].requests[1]: unknown key \"metod\""), HasSubstr("method")));
  EXPECT_THAT(problem_of_client(R"("pattern":{"type":"burst"})"),
              StartsWith("clients[0].pattern: unknown key \"type\""));
}

TEST(Scenario, RefusesAKeyThatIsThereTwice) {
  EXPECT_THAT(problem_of(R"({"name":"a","name":"b"})"), HasSubstr("\"name\" is there twice"));
}

TEST(Scenario, RefusesWhatHasTheWrongType) {
  EXPECT_THAT(problem_of("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(problem_of(R"({"name":7})"), StartsWith("name: must be a text"));
  EXPECT_THAT(problem_of(R"({"duration":60})"), StartsWith("duration: must be a text such as"));
  EXPECT_THAT(problem_of(R"({"clients":{}})"), StartsWith("clients: must be an array"));
  EXPECT_THAT(problem_of_client(R"("background":1)"), StartsWith("clients[0].background: must be true or false"));
  EXPECT_THAT(problem_of_client(R"("connections":"64")"), StartsWith("clients[0].connections: must be a whole number"));
  EXPECT_THAT(problem_of_client(R"("requests":[{"headers":[]}])"), StartsWith("clients[0].requests[0].headers: must"));
  EXPECT_THAT(problem_of_client(R"("requests":[{"headers":{"a":1}}])"),
              StartsWith("clients[0].requests[0].headers.a: must be a text"));
}

TEST(Scenario, RefusesWhatIsOutOfRange) {
  EXPECT_THAT(problem_of(R"({"threads":0})"), StartsWith("threads: "));
  EXPECT_EQ(problem_of(R"({"window":"99ms"})"), "window: must be 100ms or more");
  EXPECT_THAT(problem_of(R"({"duration":"soon"})"), StartsWith("duration: "));
  EXPECT_THAT(problem_of_client(R"("connections":0)"), StartsWith("clients[0].connections: "));
  EXPECT_THAT(problem_of_client(R"("pipeline":65)"), StartsWith("clients[0].pipeline: "));
  EXPECT_THAT(problem_of_client(R"("rate":0)"), StartsWith("clients[0].rate: "));
  EXPECT_THAT(problem_of_client(R"("rate":"-1")"), StartsWith("clients[0].rate: "));
  EXPECT_THAT(problem_of_client(R"("arrival":"uniform")"),
              AllOf(StartsWith("clients[0].arrival: must be one of"), HasSubstr("\"poisson\"")));
  EXPECT_THAT(problem_of_client(R"("requests":[])"), StartsWith("clients[0].requests: must have at least one"));
  EXPECT_THAT(problem_of_client(R"("requests":[{"weight":0}])"), StartsWith("clients[0].requests[0].weight: "));
  EXPECT_THAT(problem_of_client(R"("requests":[{"body_bytes":"2G"}])"),
              StartsWith("clients[0].requests[0].body_bytes: "));
}

TEST(Scenario, RefusesWhatIsNoJson) {
  EXPECT_THAT(problem_of("{\"name\":"), StartsWith("is not valid JSON"));
  EXPECT_THAT(problem_of(""), StartsWith("is not valid JSON"));
}

TEST(Scenario, PutsTheFilesNameBeforeItsProblems) {
  const Folder folder;
  const auto file = folder.file("bad.json", "{\"x\":1}");
  const auto load = read_scenario(file);
  ASSERT_FALSE(load);
  EXPECT_THAT(load.error(), StartsWith(file.string() + ": unknown key \"x\""));
  const auto missing = read_scenario(folder.path() / "none.json");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error(), HasSubstr("none.json: No such file"));
}

TEST(Mix, IsAnArrayOfRequests) {
  const auto mix = parse_mix(R"([{"target":"/a","weight":9},{"target":"/b"}])", {});
  ASSERT_TRUE(mix) << mix.error();
  ASSERT_EQ(mix->size(), 2U);
  EXPECT_EQ(mix->at(0).target, "/a");
  EXPECT_DOUBLE_EQ(mix->at(0).weight, 9);
  EXPECT_EQ(mix->at(1).target, "/b");
}

TEST(Mix, NamesThePlaceOfAMistake) {
  const auto mix = parse_mix(R"([{"target":"/a"},{"traget":"/b"}])", {});
  ASSERT_FALSE(mix);
  EXPECT_THAT(mix.error(), StartsWith("[1]: unknown key \"traget\""));
}

TEST(ReadFile, RefusesAFileThatIsTooLarge) {
  const Folder folder;
  const auto file = folder.file("four", "1234");
  EXPECT_EQ(read_file(file, 4).value_or("none"), "1234");
  EXPECT_FALSE(read_file(file, 3));
}

TEST(ReadFile, RefusesAFolder) {
  const Folder folder;
  const auto text = read_file(folder.path());
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error(), HasSubstr("directory"));
}

}  // namespace
}  // namespace sluice::bench
