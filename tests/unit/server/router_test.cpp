// The router as programs use it: what may be registered, which middleware wraps what and in which order, and that a
// refused registration says why.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

Handler plain() {
  return [](const Request&) { return text("x"); };
}

std::string refusal(const std::function<void(Router&)>& fill) {
  Router app;
  try {
    fill(app);
  } catch (const std::invalid_argument& error) { return error.what(); }
  return {};
}

/// Notes its name on the way in and on the way out.
class RouterTest : public ::testing::Test {
 protected:
  Middleware noting(std::string name) {
    return [this, name](Handler next) -> Handler {
      folded.push_back(name);
      return [this, name, next = std::move(next)](const Request& request, Responder responder) mutable {
        order.push_back(name);
        next(request, std::move(responder).edit([this, name](Response& answer) {
          order.push_back(name + " out");
          answer.header("X-Through", name);
        }));
      };
    };
  }
  Handler handler() {
    return [this](const Request&) {
      order.emplace_back("handler");
      return text("x");
    };
  }
  /// One request to a server of these routes; what it read.
  std::string ask(std::string_view target, std::string_view method = "GET") {
    if (server == nullptr) {
      ServerOptions options;
      options.loops = 1;
      options.pool_threads = 2;
      server = std::make_unique<sim::SimServer>(1, std::move(app), options);
    }
    order.clear();
    net::SimClient& client = server->net().client();
    client.connect();
    client.send(std::string{method} + " " + std::string{target} + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(server->run_until([&] { return client.over(); }));
    return client.received();
  }

  Router app;
  std::vector<std::string> order, folded;
  std::unique_ptr<sim::SimServer> server;
};

using Names = std::vector<std::string>;

TEST_F(RouterTest, FirstUseIsOutermostAndEditsRunInReverse) {
  app.use(noting("one")).use(noting("two"));
  app.get("/", handler());
  EXPECT_NE(ask("/").find("X-Through: two\r\nX-Through: one"), std::string::npos);
  EXPECT_EQ(order, (Names{"one", "two", "handler", "two out", "one out"}));
}

TEST_F(RouterTest, UseTouchesOnlyWhatIsAddedAfterwards) {
  app.get("/before", handler());
  app.use(noting("late"));
  app.get("/after", handler());
  ask("/before");
  EXPECT_EQ(order, Names{"handler"});
  ask("/after");
  EXPECT_EQ(order, (Names{"late", "handler", "late out"}));
}

TEST_F(RouterTest, MiddlewareIsFoldedOncePerRoute) {
  app.use(noting("one"));
  app.get("/a", handler()).get("/b", handler());
  ask("/a");
  ask("/a");
  ask("/b");
  EXPECT_EQ(folded, (Names{"one", "one"}));
}

TEST_F(RouterTest, GroupsPrefixTheirRoutesAndKeepTheirMiddlewareToThemselves) {
  app.use(noting("all"));
  auto api = app.group("/api");
  api.use(noting("api"));
  api.get("/x", handler());
  app.get("/y", handler());
  ask("/api/x");
  EXPECT_EQ(order, (Names{"all", "api", "handler", "api out", "all out"}));
  ask("/y");
  EXPECT_EQ(order, (Names{"all", "handler", "all out"}));
  EXPECT_TRUE(ask("/x").starts_with("HTTP/1.1 404"));
}

TEST_F(RouterTest, NestedGroupsAddUp) {
  auto api = app.group("/api");
  api.use(noting("api"));
  auto users = api.group("/users");
  users.use(noting("users"));
  users.get("/{id}", [this](const Request& q) {
    order.emplace_back(q.param("id"));
    return text(q.route());
  });
  api.get("/other", handler());
  EXPECT_TRUE(ask("/api/users/7").ends_with("/api/users/{id}"));
  EXPECT_EQ(order, (Names{"api", "users", "7", "users out", "api out"}));
  ask("/api/other");
  EXPECT_EQ(order, (Names{"api", "handler", "api out"}));
}

TEST_F(RouterTest, WrappedHandlerRunsWhereTheUnwrappedWould) {
  app.use(noting("one"));
  app.get("/loop", handler());
  app.get("/pool", blocking([](const Request&) {
            sim::sleep(5ms);  // fails anywhere but on a worker
            return text("from the pool");
          }));
  app.get("/later", [](const Request&, Responder responder) { responder.respond(text("later")); });
  EXPECT_TRUE(ask("/pool").ends_with("from the pool"));
  ask("/loop");
  ask("/later");
  EXPECT_EQ(server->lane("GET /loop").inlined, 1u);
  EXPECT_EQ(server->lane("GET /pool").queued, 1u);
  EXPECT_EQ(server->lane("GET /later").queued, 1u);
}

TEST_F(RouterTest, MiddlewareMayAnswerInsteadOfTheHandler) {
  app.use([](Handler next) -> Handler {
    return [next = std::move(next)](const Request& request, Responder responder) mutable {
      if (request.has_query("key")) next(request, std::move(responder));
      else responder.raise(Problem{401});
    };
  });
  app.get("/", handler());
  EXPECT_TRUE(ask("/").starts_with("HTTP/1.1 401"));
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(ask("/?key=1").starts_with("HTTP/1.1 200"));
}

TEST_F(RouterTest, HeadOptionsNotFoundAndNotAllowedAreAnsweredWithoutAHandler) {
  app.get("/a", handler()).post("/a", handler()).del("/a", handler());
  EXPECT_TRUE(ask("/a", "HEAD").starts_with("HTTP/1.1 200"));
  EXPECT_EQ(order, Names{"handler"});
  const std::string options = ask("/a", "OPTIONS");
  EXPECT_TRUE(options.starts_with("HTTP/1.1 204"));
  const std::string refused = ask("/a", "PUT");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 405"));
  for (const std::string& answer : {options, refused}) {
    for (const char* method : {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}) {
      EXPECT_NE(answer.find(method, answer.find("Allow: ")), std::string::npos) << method << " in " << answer;
    }
  }
  EXPECT_TRUE(ask("/b").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(order.empty());
}

// ---- refusals

TEST(RouterRefusal, ConflictsNameBothPatterns) {
  const std::string sentence = refusal([](Router& app) { app.get("/a/{x}", plain()).get("/a/{y}", plain()); });
  EXPECT_NE(sentence.find("/a/{x}"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("/a/{y}"), std::string::npos) << sentence;
  EXPECT_NE(refusal([](Router& app) { app.get("/a", plain()).get("/a", plain()); }), "");
  EXPECT_EQ(refusal([](Router& app) { app.get("/a", plain()).post("/a", plain()).get("/{x}", plain()); }), "");
}

TEST(RouterRefusal, GroupsConflictWithWhatStandsOutsideThem) {
  EXPECT_NE(refusal([](Router& app) {
              app.get("/api/x", plain());
              app.group("/api").get("/x", plain());
            }),
            "");
}

TEST(RouterRefusal, PatternsMustBeWellFormed) {
  for (const char* bad : {"", "a", "/{", "/{}", "/{a}{b}", "/{a...}/b", "/{a}/{a}"}) {
    const std::string sentence = refusal([&](Router& app) { app.get(bad, plain()); });
    EXPECT_NE(sentence, "") << bad;
  }
}

TEST(RouterRefusal, MethodsOfTheLibraryAreItsOwn) {
  for (const Method method : {Method::options, Method::connect, Method::trace}) {
    const std::string sentence = refusal([&](Router& app) { app.add(method, "/", plain()); });
    EXPECT_NE(sentence.find("the library answers this method itself"), std::string::npos);
  }
}

TEST(RouterRefusal, EmptyMiddlewareAndUnnamedLanes) {
  EXPECT_NE(refusal([](Router& app) { app.use({}); }), "");
  EXPECT_NE(refusal([](Router& app) { app.group("/a").use({}); }), "");
  EXPECT_NE(refusal([](Router& app) { app.lane("", {}); }), "");
}

TEST(RouterRefusal, ARouterThatWasMovedFromServesNobody) {
  Router app;
  const Router other = std::move(app);
  ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  EXPECT_THROW((Server{std::move(app), options}), std::invalid_argument);
}

}  // namespace
}  // namespace sluice
