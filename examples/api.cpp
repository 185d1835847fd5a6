// api.cpp: a small JSON API: parameters from path and query, JSON in (simdjson) and out (JsonWriter), answers for what
// goes wrong, middleware, a group of routes.
//
//   api 127.0.0.1:8080
//   curl -d '{"title":"The Art of Computer Programming","year":1968}' 127.0.0.1:8080/v1/books
//   curl '127.0.0.1:8080/v1/books?from=1&count=10'
#include <simdjson.h>

#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/extra/json.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

using namespace sluice;

namespace {

struct Book {
  std::string title{};
  std::int64_t year = 0;
};

// Handlers run on several loops at once, so what they share is locked; briefly, because a loop must not block.
// Bounded, like everything in a server that wants to live.
class Shelf {
 public:
  std::optional<std::uint64_t> add(Book book) {
    const std::lock_guard lock{mutex_};
    if (books_.size() >= books_max) return std::nullopt;
    books_.emplace(++last_id_, std::move(book));
    return last_id_;
  }
  std::optional<Book> find(std::uint64_t id) const {
    const std::lock_guard lock{mutex_};
    const auto found = books_.find(id);
    if (found == books_.end()) return std::nullopt;
    return found->second;
  }
  bool remove(std::uint64_t id) {
    const std::lock_guard lock{mutex_};
    return books_.erase(id) == 1;
  }
  std::map<std::uint64_t, Book> page(std::uint64_t from, std::size_t count) const {
    const std::lock_guard lock{mutex_};
    std::map<std::uint64_t, Book> books;
    for (auto book = books_.lower_bound(from); book != books_.end() && books.size() < count; ++book)
      books.insert(*book);
    return books;
  }

 private:
  static constexpr std::size_t books_max = 10'000;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Book> books_;
  std::uint64_t last_id_ = 0;
};

void write(JsonWriter& out, std::uint64_t id, const Book& book) {
  out.begin_object().member("id", id).member("title", book.title).member("year", book.year).end_object();
}

// JSON in. On demand: one pass, no tree. Returned as an expected, to show the other way beside throwing: both end in
// the same place, an application/problem+json answer.
std::expected<Book, Problem> parse_book(std::string_view body) {
  thread_local simdjson::ondemand::parser parser;  // its buffers are worth keeping
  const simdjson::padded_string padded{body};      // simdjson reads a little past the end
  Book book;
  try {
    auto document = parser.iterate(padded);
    book.title = std::string_view{document["title"]};
    book.year = document["year"];
  } catch (const simdjson::simdjson_error& error) {
    // The client is told what is wanted; what the parser said is for our own log.
    return std::unexpected(
        Problem{400, {}, R"(the body must be like {"title":"...","year":1968})"}.cause(error.what()));
  }
  if (book.title.empty() || book.title.size() > 200)
    return std::unexpected(Problem{422, {}, "a title has 1 to 200 bytes"});
  return book;
}

void add_routes(Router::Group& api, Shelf& shelf) {
  api.post("/books", [&shelf](const Request& request) -> std::expected<Response, Problem> {
    auto book = parse_book(request.body());
    if (!book) return std::unexpected(std::move(book).error());
    const auto id = shelf.add(*book);
    if (!id) return std::unexpected(Problem{507, "The shelf is full", "remove a book first"});
    JsonWriter out;
    write(out, *id, *book);
    return json(std::move(out).take()).status(201).header("Location", "/v1/books/" + std::to_string(*id));
  });

  api.get("/books", [&shelf](const Request& request) {
    const auto from = request.query<std::uint64_t>("from", 0);  // absent: 0; there, but no number: 400
    const auto count = request.query<std::uint32_t>("count", 20);
    if (count < 1 || count > 100) throw Problem{400, {}, "count must be 1 to 100"};
    JsonWriter out;
    out.begin_object().key("books").begin_array();
    for (const auto& [id, book] : shelf.page(from, count)) write(out, id, book);
    out.end_array().end_object();
    return json(std::move(out).take());
  });

  api.get("/books/{id}", [&shelf](const Request& request) {
    const auto id = request.param<std::uint64_t>("id");
    const auto book = shelf.find(id);
    if (!book)
      throw Problem{404, "No such book", "there is no book " + std::to_string(id)}.type("/problems/no-such-book");
    JsonWriter out;
    write(out, id, *book);
    return json(std::move(out).take());
  });

  api.del("/books/{id}", [&shelf](const Request& request) {
    if (!shelf.remove(request.param<std::uint64_t>("id"))) throw Problem{404, "No such book"};
    return empty(204);
  });
}

// Middleware takes a handler and gives back another. An edit sees every answer of the request, whoever gives it and
// from whichever thread, problems included.
Handler with_version(Handler next) {
  return [next = std::move(next)](const Request& request, Responder responder) mutable {
    next(request, std::move(responder).edit([](Response& answer) { answer.header("X-Api-Version", "1"); }));
  };
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Shelf shelf;
    Router app;
    app.get("/", [](const Request&) { return text("try /v1/books\n"); });
    auto v1 = app.group("/v1").use(with_version);  // touches the group's routes only
    add_routes(v1, shelf);

    Server server{std::move(app), {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
    const DrainOnSignal drain_on_signal{server};  // SIGTERM: finish what is under way, then end
    for (const std::string& address : server.addresses()) std::printf("listening on %s\n", address.c_str());
    std::fflush(stdout);
    return server.run();
  } catch (const std::exception& error) {  // a bad address, a port in use: said before anything is served
    std::fprintf(stderr, "api: %s\n", error.what());
    return 1;
  }
}
