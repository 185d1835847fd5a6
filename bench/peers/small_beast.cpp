// small_beast.cpp: the small server on Boost.Beast, all of it on one thread, as Beast's asynchronous example does it.
//
//   peer-small-beast --port 8080
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/version.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "small.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::span_body<const char>>;

namespace {

/// One connection: a request, its answer, the next request.
class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(Tcp::socket socket) : stream_{std::move(socket)} {}

  void read() {
    request_ = {};
    http::async_read(stream_, buffer_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->write();
    });
  }

 private:
  void write() {
    answer();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return;
      if (self->response_.keep_alive()) {
        self->read();
      } else {
        self->stream_.socket().shutdown(Tcp::socket::shutdown_send, error);
      }
    });
  }

  void answer() {
    response_ = Response{http::status::ok, request_.version()};
    response_.keep_alive(request_.keep_alive());
    const std::string_view target{request_.target().data(), request_.target().size()};
    const std::string_view path = target.substr(0, target.find('?'));
    const http::verb method = request_.method();
    if (method == http::verb::get && path == "/") {
      body(peer::text_type, peer::hello);
    } else if (method == http::verb::post && path == "/count") {
      count_ = std::to_string(request_.body().size());
      body(peer::text_type, count_);
    } else if (method == http::verb::get && path == "/big") {
      body(peer::big_type, peer::big());
    } else {
      response_.result(http::status::not_found);
    }
    response_.prepare_payload();
  }

  /// `bytes` live until the answer is written.
  void body(const char* type, std::string_view bytes) {
    response_.set(http::field::content_type, type);
    response_.body() = {bytes.data(), bytes.size()};
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  Request request_;
  Response response_;
  std::string count_;
};

void accept(Tcp::acceptor& acceptor) {
  acceptor.async_accept([&](beast::error_code error, Tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->read();
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int port = peer::port_of(argc, argv);
    peer::end_on_signal();
    asio::io_context loop{1};
    Tcp::acceptor acceptor{loop, Tcp::v4(), peer::listen_on(port)};
    accept(acceptor);
    peer::say_ready("Boost.Beast", BOOST_LIB_VERSION, acceptor.local_endpoint().port());
    loop.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer-small-beast: %s\n", error.what());
    return 1;
  }
}
