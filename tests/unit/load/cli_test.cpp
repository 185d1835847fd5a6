// cli_test.cpp: the command line as values: each flag arrives, each mistake is one line and code 2; files for results.
#include "load/tool/cli.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "load/tool/output_file.hpp"

namespace sluice::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::StartsWith;

using Words = std::vector<std::string>;
const std::string url = "http://127.0.0.1:8080/a";

/// A folder of this test alone.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "sluice-cli-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream{path_ / name} << text;
    return *this / name;
  }
  std::ptrdiff_t count() const {
    return std::distance(std::filesystem::directory_iterator{path_}, std::filesystem::directory_iterator{});
  }

 private:
  std::filesystem::path path_{};
};

std::string content(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

Command parsed(const Words& words) {
  auto command = parse_command(words);
  EXPECT_TRUE(command) << command.error().err << command.error().out;
  return command ? std::move(*command) : Command{};
}

/// `run URL` and these.
Command run_with(Words words) {
  words.insert(words.begin(), {"run", url});
  return parsed(words);
}
Clients clients_with(const Words& words) { return run_with(words).load.clients.at(0); }
Behaviour behaviour_with(const Words& words) { return clients_with(words).behaviour; }

/// What stderr gets; also checks that it is one line and the code is 2.
std::string mistake(const Words& words) {
  const auto command = parse_command(words);
  if (command) return "no mistake";
  const Exit& exit = command.error();
  EXPECT_EQ(exit.code, 2);
  EXPECT_EQ(exit.out, "");
  EXPECT_EQ(std::count(exit.err.begin(), exit.err.end(), '\n'), 1) << exit.err;
  EXPECT_TRUE(exit.err.ends_with('\n'));
  EXPECT_THAT(exit.err, StartsWith("sluice-load: "));
  return exit.err;
}
std::string run_mistake(Words words) {
  words.insert(words.begin(), {"run", url});
  return mistake(words);
}

TEST(Cli, RunsAClosedLoopByDefault) {
  const Command command = run_with({});
  EXPECT_EQ(command.verb, Verb::run);
  EXPECT_EQ(command.load.url, url);
  EXPECT_EQ(command.load.duration, Load{}.duration);
  EXPECT_EQ(command.load.background, 0U);
  ASSERT_EQ(command.load.clients.size(), 1U);
  EXPECT_DOUBLE_EQ(command.load.clients[0].rate_per_s, 0);
  EXPECT_EQ(command.load.clients[0].connections, 64U);
  EXPECT_THAT(command.load.clients[0].requests, IsEmpty());
  EXPECT_THAT(command.load.sources, IsEmpty());
  EXPECT_EQ(command.watch.metrics, "auto");
  EXPECT_FALSE(command.watch.pid);
}

TEST(Cli, SetsTheLoad) {
  const Load load = run_with({"-R", "20k", "-c", "256", "-d", "60s", "-t", "2", "--warmup", "5s", "--seed", "9",
                              "--grace", "2s", "--name", "my run"})
                        .load;
  EXPECT_DOUBLE_EQ(load.clients.at(0).rate_per_s, 20'000);
  EXPECT_EQ(load.clients[0].connections, 256U);
  EXPECT_EQ(load.duration, seconds{60});
  EXPECT_EQ(load.threads, 2U);
  EXPECT_EQ(load.warmup, seconds{5});
  EXPECT_EQ(load.seed, 9U);
  EXPECT_EQ(load.grace, seconds{2});
  EXPECT_EQ(load.name, "my run");
}

TEST(Cli, TakesTheUrlAnywhere) {
  EXPECT_EQ(parsed({"run", "-c", "2", url, "-R", "5"}).load.url, url);
  EXPECT_EQ(parsed({"run", "-c", "2", "-R", "5", url}).load.url, url);
  EXPECT_EQ(parsed({"run", "-H", "A: b", url}).load.url, url);
}

TEST(Cli, SetsArrivalAndPattern) {
  EXPECT_EQ(clients_with({"--arrival", "poisson"}).arrival, Arrival::poisson);
  EXPECT_EQ(clients_with({"--arrival", "constant"}).arrival, Arrival::constant);
  const Pattern pattern =
      clients_with({"--pattern", "burst", "--high", "5", "--low", "0.5", "--on", "2s", "--off", "3s"}).pattern;
  EXPECT_EQ(pattern.kind, Pattern::Kind::burst);
  EXPECT_DOUBLE_EQ(pattern.high, 5);
  EXPECT_DOUBLE_EQ(pattern.low, 0.5);
  EXPECT_EQ(pattern.on, seconds{2});
  EXPECT_EQ(pattern.off, seconds{3});
  EXPECT_EQ(clients_with({"--pattern", "ramp"}).pattern.kind, Pattern::Kind::ramp);
}

TEST(Cli, SetsTheBehaviour) {
  EXPECT_EQ(behaviour_with({"--pipeline", "8"}).pipeline, 8U);
  EXPECT_EQ(behaviour_with({"--requests-per-connection", "10"}).requests_per_connection, 10U);
  EXPECT_EQ(behaviour_with({"--give-up", "300ms"}).give_up_after, milliseconds{300});
  EXPECT_EQ(behaviour_with({"--retries", "2"}).retries, 2U);
  EXPECT_EQ(behaviour_with({"--retries", "2", "--retry-backoff", "50ms"}).retry_backoff, milliseconds{50});
  EXPECT_EQ(behaviour_with({"--deadline", "300ms"}).deadline, milliseconds{300});
  EXPECT_EQ(behaviour_with({"--deadline", "1s", "--deadline-header", "x-budget"}).deadline_header, "x-budget");
}

TEST(Cli, MakesNewConnectionsFromSeveralLoopbackAddresses) {
  const Load load = run_with({"--new-connections"}).load;
  EXPECT_EQ(load.clients.at(0).behaviour.requests_per_connection, 1U);
  EXPECT_THAT(load.sources, ElementsAre("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7",
                                        "127.0.0.8", "127.0.0.9"));
  EXPECT_THAT(run_with({"--new-connections", "--source", "127.0.0.1"}).load.sources, ElementsAre("127.0.0.1"));
  EXPECT_THAT(parsed({"run", "http://10.0.0.1/", "--new-connections"}).load.sources, IsEmpty());
  EXPECT_THAT(parsed({"run", "unix:/run/app.sock", "--new-connections"}).load.sources, IsEmpty());
}

TEST(Cli, SetsSources) {
  EXPECT_THAT(run_with({"--source", "127.0.0.5", "--source", "127.0.0.7"}).load.sources,
              ElementsAre("127.0.0.5", "127.0.0.7"));
  EXPECT_THAT(run_with({"--sources", "2"}).load.sources, ElementsAre("127.0.0.2", "127.0.0.3"));
}

TEST(Cli, SetsTheRequest) {
  const Clients clients = clients_with({"-m", "PUT", "-H", "A: b", "-H", "Empty:", "--body", "x {seq}"});
  ASSERT_EQ(clients.requests.size(), 1U);
  EXPECT_EQ(clients.requests[0].method, "PUT");
  EXPECT_THAT(clients.requests[0].headers, ElementsAre(Pair("A", "b"), Pair("Empty", "")));
  EXPECT_EQ(clients.requests[0].body, "x {seq}");
  EXPECT_EQ(clients.requests[0].target, "");
}

TEST(Cli, PostsBodiesUnlessToldOtherwise) {
  EXPECT_EQ(clients_with({"--body", "x"}).requests.at(0).method, "POST");
  EXPECT_EQ(clients_with({"--body", "x", "-m", "GET"}).requests.at(0).method, "GET");
  EXPECT_EQ(clients_with({"-H", "A: b"}).requests.at(0).method, "GET");
}

TEST(Cli, TakesBodiesFromFilesAndSizes) {
  const Folder folder;
  const std::string body = folder.file("body", "from the file");
  EXPECT_EQ(clients_with({"--body-file", body}).requests.at(0).body, "from the file");
  EXPECT_EQ(clients_with({"--body-bytes", "100"}).requests.at(0).body.size(), 100U);
  EXPECT_THAT(run_mistake({"--body-file", folder / "none"}), HasSubstr("No such file"));
  EXPECT_THAT(run_mistake({"--body", "a", "--body-bytes", "1"}), HasSubstr("--body"));
}

TEST(Cli, SendsAMix) {
  const Folder folder;
  const std::string mix = folder.file("mix.json", R"([{"target":"/a","weight":9},{"target":"/b","method":"PUT"}])");
  const auto requests = clients_with({"--mix", mix, "-H", "A: b"}).requests;
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].target, "/a");
  EXPECT_EQ(requests[1].method, "PUT");
  EXPECT_THAT(requests[1].headers, ElementsAre(Pair("A", "b")));
  EXPECT_THAT(run_mistake({"--mix", folder.file("bad.json", "{}")}), HasSubstr("bad.json: must be an array"));
}

TEST(Cli, PutsFlagsOverTheScenario) {
  const Folder folder;
  const std::string file = folder.file("load.json", R"({"name":"file","url":"http://127.0.0.1:1/","duration":"3s",
      "clients":[{"connections":5,"rate":100,"requests":[{"target":"/x"}]},{"name":"second","rate":7}]})");
  const Load load = parsed({"run", "--scenario", file, "-R", "2k", "-m", "PUT", "-d", "4s", url}).load;
  EXPECT_EQ(load.name, "file");
  EXPECT_EQ(load.url, url);
  EXPECT_EQ(load.duration, seconds{4});
  EXPECT_DOUBLE_EQ(load.clients.at(0).rate_per_s, 2000);
  EXPECT_EQ(load.clients[0].connections, 5U);
  EXPECT_EQ(load.clients[0].requests.at(0).target, "/x");
  EXPECT_EQ(load.clients[0].requests.at(0).method, "PUT");
  EXPECT_DOUBLE_EQ(load.clients.at(1).rate_per_s, 7);
  EXPECT_EQ(parsed({"run", "--scenario", file}).load.url, "http://127.0.0.1:1/");
}

TEST(Cli, NamesTheScenarioAndThePlaceOfAMistake) {
  const Folder folder;
  const std::string file = folder.file("load.json", R"({"clients":[{"conections":5}]})");
  EXPECT_THAT(mistake({"run", "--scenario", file}), HasSubstr("load.json: clients[0]: unknown key \"conections\""));
  EXPECT_THAT(mistake({"run", "--scenario", folder / "none"}), HasSubstr("No such file"));
}

TEST(Cli, AddsSlowClientsInTheBackground) {
  const Load load = run_with({"-m", "PUT", "--slow-readers", "10", "--read-rate", "2000", "--slow-writers", "20"}).load;
  ASSERT_EQ(load.clients.size(), 3U);
  EXPECT_EQ(load.background, 2U);
  EXPECT_EQ(load.clients[1].connections, 10U);
  EXPECT_EQ(load.clients[1].behaviour.read_bytes_per_s, 2000U);
  EXPECT_EQ(load.clients[1].requests.at(0).method, "PUT");
  EXPECT_EQ(load.clients[2].connections, 20U);
  EXPECT_EQ(load.clients[2].behaviour.write_bytes_per_s, 100U);
  EXPECT_EQ(load.clients[0].behaviour.read_bytes_per_s, 0U);
  EXPECT_THAT(run_mistake({"--read-rate", "10k"}), HasSubstr("--slow-readers"));
  EXPECT_THAT(run_mistake({"--write-rate", "10k"}), HasSubstr("--slow-writers"));
}

TEST(Cli, SetsOutputsAndWhatIsWatched) {
  const Command command = run_with({"-o", "a.json", "--hgrm", "a", "--csv", "a.csv", "--html", "a.html", "--jsonl",
                                    "--quiet", "--server-metrics", "none", "--pid", "17", "--color", "never"});
  EXPECT_EQ(command.output.json, "a.json");
  EXPECT_EQ(command.output.hgrm, "a");
  EXPECT_EQ(command.output.csv, "a.csv");
  EXPECT_EQ(command.output.html, "a.html");
  EXPECT_TRUE(command.output.json_lines);
  EXPECT_TRUE(command.output.quiet);
  EXPECT_EQ(command.output.color, Color::never);
  EXPECT_EQ(command.watch.metrics, "none");
  EXPECT_EQ(command.watch.pid, 17);
  EXPECT_FALSE(run_with({"--pid", "auto"}).watch.pid);
  EXPECT_EQ(run_with({"--pid", "0"}).watch.pid, 0);
}

TEST(Cli, SweepsOverRates) {
  const Command command = parsed({"sweep", url, "--rates", "10k,30k,500", "--pause", "5s", "-c", "7"});
  EXPECT_EQ(command.verb, Verb::sweep);
  EXPECT_THAT(command.rates_per_s, ElementsAre(10'000, 30'000, 500));
  EXPECT_EQ(command.pause, seconds{5});
  EXPECT_EQ(command.load.clients.at(0).connections, 7U);
  EXPECT_THAT(mistake({"sweep", url}), HasSubstr("--rates"));
  EXPECT_THAT(mistake({"sweep", url, "--rates", "10k,0"}), HasSubstr("--rates: '0'"));
  EXPECT_THAT(mistake({"sweep", url, "--rates", ""}), HasSubstr("--rates"));
  EXPECT_THAT(mistake({"sweep", url, "--rates", "10k", "-R", "5"}), HasSubstr("-R"));
}

TEST(Cli, SearchesWithItsDefaults) {
  const Command command = parsed({"search", url});
  EXPECT_EQ(command.verb, Verb::search);
  EXPECT_THAT(command.search.slos, IsEmpty());
  EXPECT_EQ(command.search.arrival, Arrival::poisson);
  EXPECT_EQ(command.search.window, SearchOptions{}.window);
  EXPECT_EQ(command.search.confirm, SearchOptions{}.confirm);
  EXPECT_TRUE(command.search.self_check);
  EXPECT_FALSE(command.profile);
}

TEST(Cli, SetsTheSearch) {
  const Command command =
      parsed({"search",   url,  "--slo",           "p99<10ms",  "--slo",     "errors<0.1%", "--warmup",    "2s",
              "--window", "3s", "--confirm",       "4s",        "--stage",   "6s",          "--precision", "5%",
              "--start",  "1k", "--no-self-check", "--profile", "--arrival", "constant",    "-c",          "9"});
  const SearchOptions& search = command.search;
  ASSERT_EQ(search.slos.size(), 2U);
  EXPECT_EQ(search.slos[0].limit, milliseconds{10});
  EXPECT_EQ(search.slos[1].kind, Slo::Kind::errors);
  EXPECT_EQ(search.warmup, seconds{2});
  EXPECT_EQ(search.window, seconds{3});
  EXPECT_EQ(search.confirm, seconds{4});
  EXPECT_EQ(search.stage, seconds{6});
  EXPECT_DOUBLE_EQ(search.precision, 0.05);
  EXPECT_DOUBLE_EQ(search.start_per_s, 1000);
  EXPECT_FALSE(search.self_check);
  EXPECT_EQ(search.arrival, Arrival::constant);
  EXPECT_TRUE(command.profile);
  EXPECT_EQ(command.load.clients.at(0).connections, 9U);
}

TEST(Cli, SearchesQuicklyOrFully) {
  EXPECT_EQ(parsed({"search", url, "--full"}).search.confirm, minutes{10});
  EXPECT_LT(parsed({"search", url, "--quick"}).search.confirm, SearchOptions{}.confirm);
  EXPECT_LT(parsed({"search", url, "--quick"}).search.window, SearchOptions{}.window);
  EXPECT_EQ(parsed({"search", url, "--quick", "--confirm", "33s"}).search.confirm, seconds{33});
  EXPECT_THAT(mistake({"search", url, "--quick", "--full"}), HasSubstr("--quick"));
}

TEST(Cli, RefusesWhatASearchCannotDo) {
  EXPECT_THAT(mistake({"search", url, "--slo", "fast"}), HasSubstr("--slo"));
  EXPECT_THAT(mistake({"search", url, "--precision", "0"}), HasSubstr("--precision"));
  EXPECT_THAT(mistake({"search", url, "--precision", "much"}), HasSubstr("--precision: 'much' is not a number"));
  EXPECT_THAT(mistake({"search", url, "-R", "5"}), HasSubstr("-R"));
  EXPECT_THAT(mistake({"search", url, "--profile", "--pid", "0"}), HasSubstr("--pid"));
}

TEST(Cli, ReportsAndCompares) {
  const Command report = parsed({"report", "a.json", "b.json", "--html", "out.html"});
  EXPECT_EQ(report.verb, Verb::report);
  EXPECT_THAT(report.files, ElementsAre("a.json", "b.json"));
  EXPECT_EQ(report.output.html, "out.html");
  EXPECT_THAT(mistake({"report", "a.json"}), HasSubstr("--html"));
  EXPECT_THAT(mistake({"report", "--html", "x"}), HasSubstr("FILE"));
  const Command compare = parsed({"compare", "a1,a2", "b1"});
  EXPECT_EQ(compare.verb, Verb::compare);
  EXPECT_THAT(compare.before, ElementsAre("a1", "a2"));
  EXPECT_THAT(compare.after, ElementsAre("b1"));
  EXPECT_THAT(mistake({"compare", "a1"}), HasSubstr("B"));
  EXPECT_THAT(mistake({"compare", "a1,,a2", "b"}), HasSubstr("list of files"));
}

TEST(Cli, RefusesValuesThatMakeNoSense) {
  EXPECT_THAT(run_mistake({"-R", "0"}), HasSubstr("--rate: '0'"));
  EXPECT_THAT(run_mistake({"-R", "many"}), HasSubstr("--rate: "));
  EXPECT_THAT(run_mistake({"-R", "-5"}), HasSubstr("-"));
  EXPECT_THAT(run_mistake({"-R", "1k", "-R", "2k"}), HasSubstr("--rate"));
  EXPECT_THAT(run_mistake({"-c", "0"}), HasSubstr("--connections: '0' is not a whole number, 1 to"));
  EXPECT_THAT(run_mistake({"-c", "1.5"}), HasSubstr("--connections: '1.5'"));
  EXPECT_THAT(run_mistake({"-t", "0"}), HasSubstr("--threads: '0'"));
  EXPECT_THAT(run_mistake({"-d", "0s"}), HasSubstr("--duration: '0s'"));
  EXPECT_THAT(run_mistake({"-d", "soon"}), HasSubstr("--duration: "));
  EXPECT_THAT(run_mistake({"--arrival", "x"}), HasSubstr("--arrival: 'x' is not one of constant, poisson"));
  EXPECT_THAT(run_mistake({"--pattern", "x"}), HasSubstr("--pattern: 'x' is not one of steady, burst, ramp"));
  EXPECT_THAT(run_mistake({"--high", "x"}), HasSubstr("--high: 'x' is not a number"));
  EXPECT_THAT(run_mistake({"--low", "nan"}), HasSubstr("--low: 'nan' is not a number"));
  EXPECT_THAT(run_mistake({"--pipeline", "65"}), HasSubstr("--pipeline: '65'"));
  EXPECT_THAT(run_mistake({"--requests-per-connection", "0"}), HasSubstr("--requests-per-connection: '0'"));
  EXPECT_THAT(run_mistake({"--requests-per-connection", "2", "--new-connections"}), HasSubstr("--new-connections"));
  EXPECT_THAT(run_mistake({"-H", "no colon"}), HasSubstr("--header: 'no colon'"));
  EXPECT_THAT(run_mistake({"-H", "a: b\r\nc: d"}), HasSubstr("--header: "));
  EXPECT_THAT(run_mistake({"-m", "GET /"}), HasSubstr("--method: 'GET /'"));
  EXPECT_THAT(run_mistake({"--sources", "300"}), HasSubstr("--sources: '300'"));
  EXPECT_THAT(run_mistake({"--sources", "2", "--source", "127.0.0.1"}), HasSubstr("--source"));
  EXPECT_THAT(run_mistake({"--color", "red"}), HasSubstr("--color: 'red' is not one of auto, always, never"));
  EXPECT_THAT(run_mistake({"--pid", "server"}), HasSubstr("--pid: 'server'"));
  EXPECT_THAT(run_mistake({"-o", ""}), HasSubstr("--output"));
  EXPECT_THAT(run_mistake({"--frobnicate"}), HasSubstr("--frobnicate"));
  EXPECT_THAT(run_mistake({"-R"}), HasSubstr("--rate"));
  EXPECT_THAT(run_mistake({"second"}), HasSubstr("second"));
}

TEST(Cli, RefusesUrlsThatAreNone) {
  EXPECT_THAT(mistake({"run"}), HasSubstr("a URL is needed"));
  EXPECT_THAT(mistake({"run", "127.0.0.1:8080"}), HasSubstr("127.0.0.1:8080"));
  EXPECT_THAT(mistake({"run", "http://127.0.0.1:99999/"}), HasSubstr("port"));
}

TEST(Cli, ChecksTheGeneratorAndServesNothing) {
  const auto check = parse_command({"self-check", "-c", "8", "-t", "2"});
  ASSERT_TRUE(check.has_value());
  EXPECT_EQ(check->verb, Verb::self_check);
  EXPECT_EQ(check->load.clients.front().connections, 8u);
  EXPECT_EQ(check->load.threads, 2u);
  const auto null_server = parse_command({"null-server", "--port", "9000"});
  ASSERT_TRUE(null_server.has_value());
  EXPECT_EQ(null_server->verb, Verb::null_server);
  EXPECT_EQ(null_server->port, 9000);
  EXPECT_FALSE(parse_command({"null-server", "--port", "70000"}).has_value());
  EXPECT_FALSE(parse_command({"self-check", "-c", "0"}).has_value());
}

TEST(Cli, RefusesUnknownVerbs) {
  EXPECT_THAT(mistake({}), HasSubstr("run, sweep, search, report, compare, self-check or null-server"));
  EXPECT_THAT(mistake({"measure", url}), HasSubstr("measure is none of run"));
  mistake({"-R", "5"});
}

TEST(Cli, PrintsHelpAndVersion) {
  for (const Words& words : {Words{"--help"}, Words{"run", "--help"}, Words{"search", "-h"}, Words{"--version"}}) {
    const auto command = parse_command(words);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error().code, 0);
    EXPECT_EQ(command.error().err, "");
    EXPECT_NE(command.error().out, "");
  }
  EXPECT_THAT(parse_command({"--version"}).error().out, StartsWith("sluice-load 0."));
  EXPECT_THAT(parse_command({"--help"}).error().out, HasSubstr("INVALID"));
  EXPECT_THAT(parse_command({"run", "--help"}).error().out, HasSubstr("Examples:"));
  EXPECT_THAT(parse_command({"run", "--help"}).error().out, HasSubstr("--slow-readers"));
}

TEST(Cli, KeepsTheLineAsAShellWouldTakeIt) {
  EXPECT_EQ(run_with({"-H", "A: it's", "-R", "5"}).line, "sluice-load run " + url + " -H 'A: it'\\''s' -R 5");
}

TEST(Cli, HasACodeForEveryError) {
  EXPECT_EQ(exit_code_of(Error::Kind::usage), 2);
  EXPECT_EQ(exit_code_of(Error::Kind::unreachable), 3);
  EXPECT_EQ(exit_code_of(Error::Kind::not_http), 4);
  EXPECT_EQ(exit_code_of(Error::Kind::descriptors), 5);
  EXPECT_EQ(exit_code_of(Error::Kind::system), 6);
  EXPECT_EQ(exit_code_of(Error::Kind::interrupted), 130);
}

TEST(OutputFile, IsWrittenAsAWhole) {
  const Folder folder;
  const std::string path = folder / "result.json";
  ASSERT_TRUE(check_writable(path));
  EXPECT_EQ(folder.count(), 0);
  ASSERT_TRUE(write_file(path, "one"));
  ASSERT_TRUE(check_writable(path));
  EXPECT_EQ(content(path), "one");
  ASSERT_TRUE(write_file(path, "two"));
  EXPECT_EQ(content(path), "two");
  EXPECT_EQ(folder.count(), 1);
}

TEST(OutputFile, KeepsTheModeOfTheFileItReplaces) {
  const Folder folder;
  const std::string path = folder.file("result.json", "old");
  ASSERT_EQ(::chmod(path.c_str(), 0604), 0);
  ASSERT_TRUE(write_file(path, "new"));
  struct ::stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0604U);
}

TEST(OutputFile, IsWrittenThroughALink) {
  const Folder folder;
  const std::string path = folder.file("result.json", "old");
  std::filesystem::create_symlink(path, folder / "link");
  ASSERT_TRUE(write_file(folder / "link", "new"));
  EXPECT_EQ(content(path), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
}

TEST(OutputFile, SaysWhyItCannotBeWritten) {
  const Folder folder;
  const auto missing = check_writable(folder / "none/result.json");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error(), HasSubstr("none/result.json: No such file or directory"));
  EXPECT_FALSE(write_file(folder / "none/result.json", "x"));
  EXPECT_FALSE(check_writable(folder / "."));
}

TEST(OutputFile, GoesToADeviceAsItIs) {
  EXPECT_TRUE(check_writable("/dev/null"));
  EXPECT_TRUE(write_file("/dev/null", "x"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

}  // namespace
}  // namespace sluice::bench
