// beast.cpp: what run.py asks of sluice-showcase, on Boost.Beast: one thread for the sockets, an asio thread pool of 16
// for the handlers. What waits for the pool waits in its queue, which has no bound. As Beast's own examples do it.
//
//   peer-beast --port 8080
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "peer.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Response = http::response<http::string_body>;

namespace {

/// The number behind `name` in a target such as "/sleep?ms=20".
unsigned long number_in(std::string_view target, std::string_view name) {
  const std::size_t at = target.find(name);
  return at == std::string_view::npos ? 0 : peer::number_of(std::string{target.substr(at + name.size())});
}

Response answer(const http::request<http::string_body>& request) {
  const std::string_view target{request.target().data(), request.target().size()};
  Response response{http::status::ok, request.version()};
  response.set(http::field::content_type, "text/plain");
  response.keep_alive(request.keep_alive());
  if (target == "/") response.body() = "Hello, World!";
  else if (target.rfind("/sleep?", 0) == 0) response.body() = peer::sleep_for_ms(number_in(target, "ms="));
  else if (target.rfind("/spin?", 0) == 0) response.body() = peer::spin_for_us(number_in(target, "us="));
  else response.result(http::status::not_found);
  response.prepare_payload();
  return response;
}

/// One connection: a request, its handler on the pool, the answer, the next request.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Tcp::socket socket, asio::thread_pool& pool) : stream_{std::move(socket)}, pool_{pool} {}

  void read() {
    request_ = {};
    http::async_read(stream_, buffer_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->handle();
    });
  }

 private:
  void handle() {
    asio::post(pool_, [self = shared_from_this()] {
      self->response_ = answer(self->request_);
      asio::post(self->stream_.get_executor(), [self] { self->write(); });
    });
  }

  void write() {
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->read();
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  Response response_;
  asio::thread_pool& pool_;
};

void accept(Tcp::acceptor& acceptor, asio::thread_pool& pool) {
  acceptor.async_accept([&](beast::error_code error, Tcp::socket socket) {
    if (!error) {
      socket.set_option(Tcp::no_delay{true}, error);
      std::make_shared<Session>(std::move(socket), pool)->read();
    }
    accept(acceptor, pool);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int port = peer::port_of(argc, argv);
    peer::end_on_sigterm();
    asio::io_context loop{1};
    asio::thread_pool pool{peer::threads};
    Tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.1"), static_cast<unsigned short>(port)}};
    accept(acceptor, pool);
    std::fprintf(stderr, "version Boost.Beast %s\nlistening on 127.0.0.1:%d\n", BOOST_LIB_VERSION,
                 acceptor.local_endpoint().port());
    loop.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer-beast: %s\n", error.what());
    return 1;
  }
}
