// small_libevent.cpp: the small server on libevent's evhttp, one loop.
//
//   peer-small-libevent --port 8080
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "small.hpp"

namespace {

/// `body` outlives the program's requests.
void answer(evhttp_request* request, const char* type, std::string_view body) {
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
  evbuffer_add_reference(evhttp_request_get_output_buffer(request), body.data(), body.size(), nullptr, nullptr);
  evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
}

/// Answers 405 to any other method.
bool asks(evhttp_request* request, evhttp_cmd_type method) {
  if (evhttp_request_get_command(request) == method) return true;
  evhttp_send_error(request, HTTP_BADMETHOD, nullptr);
  return false;
}

void on_hello(evhttp_request* request, void*) {
  if (asks(request, EVHTTP_REQ_GET)) answer(request, peer::text_type, peer::hello);
}

void on_count(evhttp_request* request, void*) {
  if (!asks(request, EVHTTP_REQ_POST)) return;
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", peer::text_type);
  evbuffer_add_printf(evhttp_request_get_output_buffer(request), "%zu",
                      evbuffer_get_length(evhttp_request_get_input_buffer(request)));
  evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
}

void on_big(evhttp_request* request, void*) {
  if (asks(request, EVHTTP_REQ_GET)) answer(request, peer::big_type, peer::big());
}

}  // namespace

int main(int argc, char** argv) {
  const int port = peer::port_of(argc, argv);
  peer::end_on_signal();
  event_base* loop = event_base_new();
  evhttp* server = loop == nullptr ? nullptr : evhttp_new(loop);
  if (server == nullptr) peer::fail("libevent");
  evhttp_set_timeout(server, 60);  // seconds
  evhttp_set_cb(server, "/", on_hello, nullptr);
  evhttp_set_cb(server, "/count", on_count, nullptr);
  evhttp_set_cb(server, "/big", on_big, nullptr);
  const int listener = peer::listen_on(port);
  if (evhttp_accept_socket(server, listener) != 0) peer::fail("evhttp_accept_socket");
  peer::say_ready("libevent", event_get_version(), peer::port_of_listener(listener));
  return event_base_dispatch(loop) == 0 ? 0 : 1;
}
