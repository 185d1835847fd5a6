// small_h2o.cpp: the small server on libh2o with its own event loop, as libh2o's example `simple` does it.
//
//   peer-small-h2o --port 8080
#define H2O_USE_LIBUV 0  // the library with its own loop is installed, its headers serve both
#include <h2o.h>
#include <h2o/version.h>

#include <charconv>

#include "small.hpp"

namespace {

h2o_globalconf_t config;
h2o_context_t context;
h2o_accept_ctx_t acceptance;

/// `body` outlives the request, or is of its pool.
int answer(h2o_req_t* request, const char* type, h2o_iovec_t body) {
  static h2o_generator_t generator{nullptr, nullptr};
  request->res.status = 200;
  request->res.reason = "OK";
  request->res.content_length = body.len;
  h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, nullptr, type, std::strlen(type));
  h2o_start_response(request, &generator);
  h2o_send(request, &body, 1, H2O_SEND_STATE_FINAL);
  return 0;
}

bool asks(const h2o_req_t* request, std::string_view method, std::string_view path) {
  return method == std::string_view{request->method.base, request->method.len} &&
         path == std::string_view{request->path_normalized.base, request->path_normalized.len};
}

int on_hello(h2o_handler_t*, h2o_req_t* request) {
  if (!asks(request, "GET", "/")) return -1;
  return answer(request, peer::text_type, h2o_iovec_init(peer::hello.data(), peer::hello.size()));
}

int on_count(h2o_handler_t*, h2o_req_t* request) {
  if (!asks(request, "POST", "/count")) return -1;
  constexpr std::size_t digits_max = 20;
  auto* digits = static_cast<char*>(h2o_mem_alloc_pool(&request->pool, digits_max));
  const auto written = std::to_chars(digits, digits + digits_max, request->entity.len);
  return answer(request, peer::text_type, h2o_iovec_init(digits, static_cast<std::size_t>(written.ptr - digits)));
}

int on_big(h2o_handler_t*, h2o_req_t* request) {
  if (!asks(request, "GET", "/big")) return -1;
  return answer(request, peer::big_type, h2o_iovec_init(peer::big().data(), peer::big().size()));
}

void on_accept(h2o_socket_t* listener, const char* error) {
  if (error != nullptr) return;
  if (h2o_socket_t* accepted = h2o_evloop_socket_accept(listener)) h2o_accept(&acceptance, accepted);
}

}  // namespace

int main(int argc, char** argv) {
  const int port = peer::port_of(argc, argv);
  peer::end_on_signal();
  h2o_config_init(&config);
  config.http1.req_timeout = 60'000;  // ms; an idle connection counts as one that has not asked yet
  h2o_hostconf_t* host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
  const auto route = [host](const char* path, int (*handler)(h2o_handler_t*, h2o_req_t*)) {
    h2o_create_handler(h2o_config_register_path(host, path, 0), sizeof(h2o_handler_t))->on_req = handler;
  };
  // A path stands for all below it, and the first that fits is taken.
  route("/count", on_count);
  route("/big", on_big);
  route("/", on_hello);

  h2o_context_init(&context, h2o_evloop_create(), &config);
  acceptance.ctx = &context;
  acceptance.hosts = config.hosts;
  const int listener = peer::listen_on(port);
  h2o_socket_read_start(h2o_evloop_socket_create(context.loop, listener, H2O_SOCKET_FLAG_DONT_READ), on_accept);
  peer::say_ready("libh2o", H2O_VERSION, peer::port_of_listener(listener));
  while (h2o_evloop_run(context.loop, INT32_MAX) == 0) continue;
  return 1;
}
