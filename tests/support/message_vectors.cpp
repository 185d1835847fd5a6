// Some functions here are longer than 60 lines: they are tables, and a table cut in two is harder to read.
#include "support/message_vectors.hpp"

#include <utility>

namespace sluice::http::test {

using namespace std::string_literals;

namespace {

const std::string host = "Host: h\r\n";
const std::string next = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string coding = "Transfer-Encoding: chunked\r\n";
const std::string hello = "5\r\nhello\r\n0\r\n\r\n";

std::string line(const std::string& request_line) { return request_line + "\r\n" + host + "\r\n"; }
std::string get(const std::string& target) { return line("GET " + target + " HTTP/1.1"); }
std::string with_fields(const std::string& fields) { return "GET / HTTP/1.1\r\n" + host + fields + "\r\n"; }
std::string with_host(const std::string& value) { return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n"; }
std::string post(const std::string& fields, const std::string& body) {
  return "POST / HTTP/1.1\r\n" + host + fields + "\r\n" + body;
}
std::string length(const std::string& value) { return post("Content-Length: " + value + "\r\n", "hello"); }
std::string transfer(const std::string& value) { return post("Transfer-Encoding: " + value + "\r\n", hello); }
std::string chunks(const std::string& body) { return post(coding, body); }
std::string extension(const std::string& text) { return chunks("5" + text + "\r\nhello\r\n0\r\n\r\n"); }
std::string sized(const std::string& size) { return chunks(size + "\r\nhello\r\n0\r\n\r\n" + next); }
std::string trailer(const std::string& lines) { return chunks("5\r\nhello\r\n0\r\n" + lines + "\r\n" + next); }

}  // namespace

std::vector<Vector> request_line_vectors() {
  const std::string get_root = get("/");
  std::vector<Vector> vectors = {
      {"baseline GET", get_root, "ok"},
      {"one leading CRLF", "\r\n" + get_root, "ok"},
      {"two leading CRLF", "\r\n\r\n" + get_root, "ok"},
      {"three leading CRLF", "\r\n\r\n\r\n" + get_root, "400"},
      {"ten leading CRLF", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" + get_root, "400"},
      {"CRLF between messages", get_root + "\r\n" + get_root, "ok ok"},
      {"leading bare LF", "\n" + get_root, "400"},
      {"leading bare CR", "\r" + get_root, "400"},
      {"leading SP", " " + get_root, "400"},
      {"leading NUL", "\0"s + get_root, "400"},
      {"TLS hello", "\x16\x03\x01\x00\xc8"s, "400"},
      {"SSH banner", "SSH-2.0-OpenSSH_9.2\r\n", "400"},
      {"two SP after the method", line("GET  / HTTP/1.1"), "400"},
      {"two SP before the version", line("GET /  HTTP/1.1"), "400"},
      {"HTAB as separator", line("GET\t/\tHTTP/1.1"), "400"},
      {"SP after the version", line("GET / HTTP/1.1 "), "400"},
      {"bare CR as separator", line("GET /\rHTTP/1.1"), "400"},
      {"lower-case method", line("get / HTTP/1.1"), "501"},
      {"unknown method", line("FOO / HTTP/1.1"), "501"},
      {"QUERY", line("QUERY / HTTP/1.1"), "501"},
      {"GETX", line("GETX / HTTP/1.1"), "501"},
      {"WebDAV method", line("PROPFIND / HTTP/1.1"), "501"},
      {"control byte in method", line("G\x01T / HTTP/1.1"), "400"},
      {"delimiter in method", line("GE(T / HTTP/1.1"), "400"},
      {"8-bit byte in method", line("G\xe9T / HTTP/1.1"), "400"},
      {"method of 32 bytes", line(std::string(32, 'A') + " / HTTP/1.1"), "501"},
      {"method of 33 bytes, nothing behind", std::string(33, 'A'), "501"},
      {"PRI with 1.1", line("PRI * HTTP/1.1"), "501"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
      {"HTTP/0.9 simple request", "GET /\r\n", "400"},
      {"HTTP/0.9 with bare LF", "GET /\n", "400"},
      {"bare LF after the target, then headers", "POST /\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "400"},
      {"no version, then headers", "POST /\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "400"},
      {"no target", "GET HTTP/1.1\r\n\r\n", "400"},
      {"explicit HTTP/0.9", line("GET / HTTP/0.9"), "505"},
      {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "ok closed"},
      {"HTTP/1.2", line("GET / HTTP/1.2"), "ok"},
      {"HTTP/1.9 with a body", "POST / HTTP/1.9\r\n" + host + coding + "\r\n" + hello, "ok:hello"},
      {"HTTP/2.0", line("GET / HTTP/2.0"), "505"},
      {"HTTP/3.0", line("GET / HTTP/3.0"), "505"},
      {"HTTP/0.0", line("GET / HTTP/0.0"), "505"},
      {"HTTP/9.9", line("GET / HTTP/9.9"), "505"},
      {"RTSP/1.0", line("GET / RTSP/1.0"), "400"},
      {"SOURCE with ICE/1.0", line("SOURCE / ICE/1.0"), "400"},
      {"DESCRIBE", line("DESCRIBE / HTTP/1.1"), "501"},
      {"SOURCE", line("SOURCE / HTTP/1.1"), "501"},
      {"SETUP", line("SETUP / HTTP/1.1"), "501"},
      {"LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", "400"},
      {"CR after the request line", "GET / HTTP/1.1\rHost: h\r\n\r\n", "400"},
      {"CR CR LF after the request line", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "400"},
      {"request line ends CR CR LF LF", "GET / HTTP/1.1\r\r\n\n", "400"},
      {"incomplete request line", "GET / HT", "more"},
  };
  for (const char* version :
       {"http/1.1", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/01.1", "HTTP/1.10", "HTTP/1.1x", "HTTP/ 1.1", "HTTP/1,1",
        "HTTP/+1.1", "HTTP/1.1.1", "HTTPS/1.1", "HTT/1.1", "HTTP1.1", "HTTP/1\xb7", "HTTP/4294967297.1"}) {
    vectors.push_back({"version "s + version, line("GET / "s + version), "400"});
  }
  return vectors;
}

std::vector<Vector> target_vectors() {
  std::vector<Vector> vectors = {
      {"absolute-form", get("http://h/"), "ok"},
      {"absolute-form, upper-case scheme", get("HTTP://H/x"), "ok"},
      {"absolute-form, no path", get("http://h"), "ok"},
      {"absolute-form, query only", get("http://h?a=b"), "ok"},
      {"absolute-form, default port", get("http://h:80/"), "ok"},
      {"absolute-form, https default port", get("https://h:443/"), "ok"},
      {"absolute-form, empty port", get("http://h:/"), "ok"},
      {"absolute-form, other port", get("http://h:81/"), "400"},
      {"absolute-form, other host", get("http://other/"), "400"},
      {"absolute-form, other host in 1.0", "GET http://other/ HTTP/1.0\r\n" + host + "\r\n" + next, "400"},
      {"absolute-form, port out of range", "GET http://h:65536/ HTTP/1.1\r\nHost: h:65536\r\n\r\n", "400"},
      {"absolute-form, IPv6", "GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "ok"},
      {"absolute-form without Host", "GET http://h/ HTTP/1.1\r\n\r\n", "400"},
      {"absolute-form with userinfo", get("http://u@h/"), "400"},
      {"absolute-form, userinfo that looks like Host", get("http://h@h/"), "400"},
      {"absolute-form, empty authority", get("http:///x"), "400"},
      {"absolute-form, port only", get("http://:80/"), "400"},
      {"absolute-form, bad port", get("http://h:8x/"), "400"},
      {"absolute-form, ftp", get("ftp://h/"), "400"},
      {"absolute-form, fragment", get("http://h/#x"), "400"},
      {"absolute-form, dot segment", get("http://h/../x"), "400"},
      {"absolute-form, one slash", get("http:/h"), "400"},
      {"authority-form with GET", get("h:80"), "400"},
      {"GET *", get("*"), "400"},
      {"OPTIONS *", line("OPTIONS * HTTP/1.1"), "ok"},
      {"OPTIONS *x", line("OPTIONS *x HTTP/1.1"), "400"},
      {"OPTIONS, absolute-form, no path", line("OPTIONS http://h HTTP/1.1"), "ok"},
      {"CONNECT", line("CONNECT h:80 HTTP/1.1"), "501"},
      {"CONNECT and bytes behind", line("CONNECT h:80 HTTP/1.1") + next, "501"},
      {"CONNECT with a body", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\n\r\nhello" + next, "501"},
      {"CONNECT with a path", line("CONNECT / HTTP/1.1"), "501"},
      {"relative", get("foo"), "400"},
      {"query only", get("?x"), "400"},
      {"dot", get("."), "400"},
      {"empty target", line("GET  HTTP/1.1"), "400"},
      {"fragment", get("/#f"), "400"},
      {"space in path", get("/a b"), "400"},
      {"query", get("/?a=b&c=%20d"), "ok"},
      {"question marks in the query", get("/?a?b/c"), "ok"},
      {"brackets in the query", get("/?a[]=1"), "ok"},
      {"bracket in the path", get("/a[b"), "400"},
      {"fragment in the query", get("/?a#b"), "400"},
      {"bad escape in the query", get("/?a=%z1"), "400"},
      {"escaped line end in the query", get("/?a=%0d%0a"), "ok"},
      {"double slash", get("//etc/passwd"), "ok"},
      {"bad escape", get("/%zz"), "400"},
      {"short escape", get("/%4"), "400"},
      {"lone percent sign", get("/%"), "400"},
      {"UTF-8 in the path", get("/\xc3\xa9"), "400"},
      {"escaped NUL", get("/%00"), "400"},
      {"escaped LF", get("/a%0ab"), "400"},
      {"escaped DEL", get("/a%7fb"), "400"},
      {"escaped UTF-8", get("/%c3%a9"), "ok"},
      {"overlong UTF-8", get("/..%c0%af..%c0%afetc"), "ok"},
      {"dot segments", get("/../../etc/passwd"), "400"},
      {"escaped dot segments", get("/%2e%2e/%2E%2e/etc"), "400"},
      {"half-escaped dot segment", get("/a/.%2e/etc"), "400"},
      {"escaped slashes between dots", get("/..%2f..%2fetc"), "400"},
      {"dot segment at the end", get("/a/.."), "400"},
      {"dot segment before the query", get("/a/..?x"), "400"},
      {"single dot segment", get("/./a"), "400"},
      {"three dots", get("/.../a"), "ok"},
      {"dots inside names", get("/a..b/.c/d."), "ok"},
      {"twice escaped dots", get("/%252e%252e/etc"), "ok"},
      {"dots in the query", get("/?/../"), "ok"},
      {"target of 8000 bytes", get("/" + std::string(7999, 'a')), "ok"},
      {"target of 8192 bytes", get("/" + std::string(8191, 'a')), "ok"},
      {"target of 8193 bytes", get("/" + std::string(8192, 'a')), "414"},
      {"long target, nothing behind", "GET /" + std::string(8192, 'a'), "414"},
  };
  for (const int byte : {0x00, 0x01, 0x09, 0x0b, 0x0d, 0x1b, 0x7f, 0xe9}) {
    vectors.push_back(
        {"byte " + std::to_string(byte) + " in the path", get("/a"s + static_cast<char>(byte) + "b"), "400"});
  }
  for (const char* illegal : {"\"", "<", ">", "\\", "^", "`", "{", "|", "}"}) {
    vectors.push_back({"path with "s + illegal, get("/a"s + illegal + "b"), "400"});
    vectors.push_back({"query with "s + illegal, get("/?a"s + illegal + "b"), "400"});
  }
  return vectors;
}

std::vector<Vector> host_vectors() {
  std::vector<Vector> vectors = {
      {"no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"no Host but other fields", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", "400"},
      {"two Host", with_fields(host), "400"},
      {"two Host, other case", with_fields("hOST: other\r\n"), "400"},
      {"two Host in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
      {"bad Host in 1.0", "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", "400"},
      {"Host with NUL", with_host("h\0"s), "400"},
      {"Host of 255 bytes", with_host(std::string(255, 'a')), "ok"},
      {"Host of 5000 bytes", with_host(std::string(5000, 'a')), "400"},
      {"OWS around Host", with_host(" \t h:80 \t"), "ok"},
      {"no OWS before Host", "GET / HTTP/1.1\r\nHost:h\r\n\r\n", "ok"},
  };
  for (const char* value :
       {"",       "a, b",    "a,b",     "h/x",          "u@h",           "a b",   "h:abc",    "h:-1",    "h:80x",
        "h:1:2",  "h?x",     "h#x",     "h\\x",         "[::1",          "::1]",  "::1",      "[zz]",    "[]",
        "[::1]x", "[::1]:x", "[1:2:3]", "[::1%25eth0]", "\"h\"",         "\xe9",  "http://h", "a%zz",    "a%",
        "a%00",   "<h>",     ":80",     "h:65536",      "h:99999999999", "h , h", "h:8 0",    "h:80:80", "a\tb"}) {
    vectors.push_back({"Host "s + value, with_host(value), "400"});
  }
  for (const char* value : {"[::1]:80", "[2001:db8::1]", "[::ffff:1.2.3.4]:1", "h:", "a_b.c", "example.com.",
                            "127.0.0.1:8080", "EXAMPLE.COM", "a!$&'()*+;=b", "a%41b", "h:65535", "h:0", "[::1]:"}) {
    vectors.push_back({"Host "s + value, with_host(value), "ok"});
  }
  return vectors;
}

std::vector<Vector> field_vectors() {
  std::vector<Vector> vectors = {
      {"SP before colon, Host", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"},
      {"SP before colon", with_fields("X : 1\r\n"), "400"},
      {"HTAB before colon", with_fields("X\t: 1\r\n"), "400"},
      {"SP before colon, empty value", with_fields("X :\r\n"), "400"},
      {"SP before colon, Content-Length", post("Content-Length : 5\r\n", "hello"), "400"},
      {"SP before colon, Transfer-Encoding", post("Transfer-Encoding : chunked\r\n", hello), "400"},
      {"SP before the first field", "GET / HTTP/1.1\r\n " + host + "\r\n", "400"},
      {"HTAB before the first field", "GET / HTTP/1.1\r\n\t" + host + "\r\n", "400"},
      {"white-space line first", "GET / HTTP/1.1\r\n \r\n" + host + "\r\n", "400"},
      {"fold with SP", with_fields("X: 1\r\n 2\r\n"), "400"},
      {"fold with HTAB", with_fields("X: 1\r\n\t2\r\n"), "400"},
      {"fold after an empty value", with_fields("X:\r\n 2\r\n"), "400"},
      {"folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\n", hello), "400"},
      {"fold inside chunked", post("Transfer-Encoding: chun\r\n ked\r\n", hello), "400"},
      {"fold behind another coding", post("Transfer-Encoding: x\r\n chunked\r\n", hello), "400"},
      {"folded Content-Length", post("Content-Length:\r\n 5\r\n", "hello"), "400"},
      {"fold that hides Content-Length", post("X:\r\n Content-Length: 5\r\n", "hello"), "400"},
      {"fold that hides Transfer-Encoding", post("X:\r\n Transfer-Encoding: chunked\r\n", hello), "400"},
      {"SP line before the end", with_fields(" \r\n"), "400"},
      {"empty name", with_fields(": 1\r\n"), "400"},
      {"colon only", with_fields(":\r\n"), "400"},
      {"no colon", with_fields("garbage\r\n"), "400"},
      {"underscore name is another field", post("Content_Length: 3\r\nContent-Length: 5\r\n", "hello"), "ok:hello"},
      {"unusual token characters in a name", with_fields("!#$%&'*+-.^_`|~09azAZ: 1\r\n"), "ok"},
      {"very long name", with_fields(std::string(300, 'N') + ": 1\r\n"), "ok"},
      {"obs-text in value", with_fields("X: \xe9\xff\x80\r\n"), "ok"},
      {"HTAB in value", with_fields("X: a\tb\r\n"), "ok"},
      {"OWS around value", with_fields("X: \t 1 \t \r\n"), "ok"},
      {"empty values", with_fields("X:\r\nY: \r\nZ:\t\r\n"), "ok"},
      {"colons in value", with_fields("X: a:b: c\r\n"), "ok"},
      {"bare CR in value", with_fields("X: a\rb\r\n"), "400"},
      {"field line ended by CR", "GET / HTTP/1.1\r\nX-A: 1\rHost: h\r\n\r\n", "400"},
      {"empty value ended by CR (CVE-2023-30589)", post("X:\rTransfer-Encoding: chunked\r\n", hello), "400"},
      {"value ends CR CR LF", with_fields("X: a\r\r\n"), "400"},
      {"bare LF in value", with_fields("X: a\nb: c\r\n"), "400"},
      {"empty value ended by LF", with_fields("X:\n"), "400"},
      {"all LF", "GET / HTTP/1.1\nHost: h\n\n", "400"},
      {"all field lines end in LF", "GET / HTTP/1.1\r\nHost: h\nX: 1\n\n", "400"},
      {"block ends LF LF", "GET / HTTP/1.1\r\nHost: h\n\n", "400"},
      {"LF LF in a value", with_fields("X: a\n\n" + next), "400"},
      {"block ends CRLF LF", "GET / HTTP/1.1\r\n" + host + "\n", "400"},
      {"block ends CRLF CR X (CVE-2025-23167)", "GET / HTTP/1.1\r\n" + host + "\rX" + next, "400"},
      {"block ends CRLF CR CR LF", "GET / HTTP/1.1\r\n" + host + "\r\r\n", "400"},
      {"60 fields", with_fields([] {
         std::string s;
         for (int i = 0; i < 60; ++i) s += "X-" + std::to_string(i) + ": 1\r\n";
         return s;
       }()),
       "ok"},
      {"100 fields", with_fields([] {
         std::string s;
         for (int i = 0; i < 99; ++i) s += "X: 1\r\n";
         return s;
       }()),
       "ok"},
      {"101 fields", with_fields([] {
         std::string s;
         for (int i = 0; i < 100; ++i) s += "X: 1\r\n";
         return s;
       }()),
       "431"},
      {"name of 20 KB", with_fields(std::string(20'000, 'X') + ": 1\r\n"), "431"},
      {"value of 20 KB", with_fields("X: " + std::string(20'000, 'x') + "\r\n"), "431"},
      {"incomplete field", "GET / HTTP/1.1\r\nHost: h\r\nX-", "more"},
  };
  for (const int byte : {0x00, 0x01, ' ' + 0, '\t' + 0, '(' + 0, '[' + 0, '@' + 0, '/' + 0, '"' + 0, ',' + 0, '=' + 0,
                         0x7f, 0xe9, 0x0d, '{' + 0}) {
    vectors.push_back({"byte " + std::to_string(byte) + " in a name",
                       with_fields("X"s + static_cast<char>(byte) + "A: 1\r\n"), "400"});
  }
  for (const int byte : {0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f}) {
    vectors.push_back({"byte " + std::to_string(byte) + " in a value",
                       with_fields("X: a"s + static_cast<char>(byte) + "b\r\n"), "400"});
    vectors.push_back({"byte " + std::to_string(byte) + " before a value",
                       with_fields("X:"s + static_cast<char>(byte) + "b\r\n"), "400"});
  }
  return vectors;
}

std::vector<Vector> framing_vectors() {
  std::vector<Vector> vectors = {
      {"Content-Length 5", length("5"), "ok:hello"},
      {"Content-Length 0", post("Content-Length: 0\r\n", ""), "ok"},
      {"Content-Length 005", length("005"), "ok:hello"},
      {"Content-Length with 40 zeros", length(std::string(40, '0') + "5"), "ok:hello"},
      {"Content-Length, HTAB behind", length("5\t"), "ok:hello"},
      {"Content-Length, SP behind", length("5 "), "ok:hello"},
      {"Content-Length, SP HTAB SP behind", length("5 \t "), "ok:hello"},
      {"Content-Length, HTAB before", length("\t5"), "ok:hello"},
      {"odd case", post("cOnTeNt-LeNgTh: 5\r\n", "hello"), "ok:hello"},
      {"Content-Length empty", post("Content-Length:\r\n", "hello"), "400"},
      {"Content-Length blank", length(" \t "), "400"},
      {"Content-Length SP", length(" "), "400"},
      {"Content-Length with NUL", length("5\0"s), "400"},
      {"Content-Length 2^63 - 1", length("9223372036854775807"), "413"},
      {"Content-Length 2^63", length("9223372036854775808"), "413"},
      {"Content-Length 2^64 - 1", length("18446744073709551615"), "413"},
      {"Content-Length 2^64", length("18446744073709551616"), "400"},
      {"Content-Length 2^64 + 5", length("18446744073709551621"), "400"},
      {"Content-Length 10^30", length("1" + std::string(30, '0')), "400"},
      {"two equal Content-Length", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400"},
      {"two different Content-Length", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400"},
      {"Content-Length 0 and 5", post("Content-Length: 0\r\nContent-Length: 5\r\n", "hello"), "400"},
      {"Content-Length and chunked", post("Content-Length: 5\r\n" + coding, hello), "400"},
      {"chunked and Content-Length", post(coding + "Content-Length: 5\r\n", hello), "400"},
      {"chunked and a bad Content-Length", post("Content-Length: x\r\n" + coding, hello), "400"},
      {"chunked and Content-Length 0", post(coding + "Content-Length: 0\r\n", hello), "400"},
      {"GET, chunked and Content-Length", with_fields(coding + "Content-Length: 5\r\n") + hello, "400"},
      {"Transfer-Encoding empty, Content-Length", post("Transfer-Encoding:\r\nContent-Length: 5\r\n", "hello"), "400"},
      {"Transfer-Encoding empty", post("Transfer-Encoding:\r\n", hello), "400"},
      {"Transfer-Encoding empty in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding:\r\n\r\n" + next, "400"},
      {"chunked and Content-Length in HTTP/1.0",
       "POST / HTTP/1.0\r\n" + coding + "Content-Length: 5\r\n\r\nhello" + next, "400"},
      {"chunked with NUL", transfer("chunked\0"s), "400"},
      {"chunked, in two fields of different case", post("tRANSFER-eNCODING: chunked\r\n" + coding, hello), "400"},
      {"Transfer-Encoding blank", transfer(" "), "400"},
      {"identity and Content-Length", post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello"), "400"},
      {"Transfer_Encoding is another field", post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello"),
       "ok:hello"},
      {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\n" + host + coding + "\r\n" + hello, "400"},
      {"chunked in HTTP/1.0 with keep-alive",
       "POST / HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n" + coding + "\r\n" + hello, "400"},
      {"GET with a body", "GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello" + next, "ok:hello ok"},
      {"POST without length", post("", next), "ok ok"},
      {"body shorter than its length", length("10"), "more"},
      {"namenul", post("Content-Length\0: 5\r\n"s, "hello"), "400"},
  };
  for (const char* value : {"+5",
                            "-5",
                            "-1",
                            "-0",
                            "0x5",
                            "a",
                            "5.0",
                            "1e1",
                            "5 5",
                            "5, 5",
                            "5,5",
                            "5, 6",
                            "5,6",
                            "5;x",
                            "\"5\"",
                            "0_5",
                            "1_0",
                            "\xef\xbc\x95",
                            "five",
                            ",",
                            "5,x",
                            "\xa0"
                            "5",
                            "5\t5"}) {
    vectors.push_back({"Content-Length "s + value, length(value), "400"});
  }
  for (const char* value : {"CHUNKED", "cHuNkEd", "\tchunked", "chunked ", "chunked\t", " chunked \t"}) {
    vectors.push_back({"Transfer-Encoding "s + value, transfer(value), "ok:hello"});
  }
  for (const char* value :
       {"gzip, chunked", "x, chunked", "identity, chunked", "gzip,chunked", ",chunked", "gzip;q=1, Chunked"}) {
    vectors.push_back({"Transfer-Encoding "s + value, transfer(value), "501"});
  }
  for (const char* value : {"identity",
                            "gzip",
                            "xchunked",
                            "x-chunked",
                            "chunkedx",
                            "\"chunked\"",
                            "'chunked'",
                            "chunked;q=1",
                            "x chunked",
                            "chunked, identity",
                            "chunked, gzip",
                            "chunked, chunked",
                            "chunked,",
                            "\x0b"
                            "chunked",
                            "chunked\x0b",
                            "\x0c"
                            "chunked",
                            "\xa0"
                            "chunked",
                            "chunked\x85",
                            ": chunked",
                            "chunked;",
                            "chunked=1",
                            "chunk",
                            "C\x08UNKED",
                            "CHUN\x0b"
                            "ED",
                            "\x03\x08\x15\x0e\x0b\x05\x04",
                            "\x03hunked"}) {
    vectors.push_back({"Transfer-Encoding "s + value, transfer(value), "400"});
  }
  for (const auto& [first, second] : {std::pair{"chunked", "chunked"},
                                      {"chunked", "identity"},
                                      {"identity", "chunked"},
                                      {"", "chunked"},
                                      {"chunked", ""},
                                      {"chunked", "x"},
                                      {"x", "chunked"}}) {
    vectors.push_back({"two Transfer-Encoding: "s + first + " / " + second,
                       post("Transfer-Encoding: "s + first + "\r\nTransfer-Encoding: " + second + "\r\n", hello),
                       "400"});
  }
  return vectors;
}

std::vector<Vector> chunked_vectors() {
  std::vector<Vector> vectors = {
      {"chunked", chunks(hello), "ok:hello"},
      {"only the last chunk", chunks("0\r\n\r\n"), "ok:"},
      {"upper-case size", chunks("A\r\n0123456789\r\n0\r\n\r\n"), "ok:0123456789"},
      {"lower-case size", chunks("a\r\n0123456789\r\n0\r\n\r\n"), "ok:0123456789"},
      {"leading zeros", chunks("0005\r\nhello\r\n0\r\n\r\n"), "ok:hello"},
      {"16 digits", chunks("0000000000000005\r\nhello\r\n0\r\n\r\n"), "ok:hello"},
      {"17 digits", sized("00000000000000005"), "400"},
      {"1000 zeros", sized(std::string(1000, '0') + "5"), "400"},
      {"last chunk 000", chunks("5\r\nhello\r\n000\r\n\r\n"), "ok:hello"},
      {"several chunks", chunks("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), "ok:hello"},
      {"line ends inside data", chunks("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), "ok:\r\n0\r\n\r\n"},
      {"then a request", chunks(hello + next), "ok:hello ok"},
      {"size empty", sized(""), "400"},
      {"size with NUL", sized("5\0"s), "400"},
      {"SP behind the size", sized("5 "), "400"},
      {"size 2^64", sized("10000000000000000"), "400"},
      {"size 2^64 + 5", sized("10000000000000005"), "400"},
      {"sizes that add up to too much", chunks("1\r\nx\r\n7FFFFFFFFFFFFFFF\r\nhello" + next), "413"},
      {"size 2^64 - 1", sized("FFFFFFFFFFFFFFFF"), "413"},
      {"size 2^63", sized("8000000000000000"), "413"},
      {"size 2^63 - 1", sized("7FFFFFFFFFFFFFFF"), "413"},
      {"size 2^40", sized("10000000000"), "413"},
      {"size ends in CR NUL", chunks("5\r\0hello\r\n0\r\n\r\n"s), "400"},
      {"chunk shorter than its size", chunks("8\r\nhello\r\n0\r\n\r\n" + next), "400"},
      {"no last chunk", chunks("5\r\nhello\r\n"), "more"},
      {"request swallowed as a trailer", chunks("5\r\nhello\r\n0\r\n" + next), "400"},
      {"extension on the last chunk", chunks("5\r\nhello\r\n0;a=b\r\n\r\n"), "ok:hello"},
      {"extension with NUL", extension(";a\0b"s), "400"},
      {"quoted NUL", extension(";a=\"\0\""s), "400"},
      {"extension of 3 KB", extension(";a=" + std::string(3'000, 'b')), "ok:hello"},
      {"extension of 5 KB", extension(";a=" + std::string(5'000, 'b')), "400"},
      {"5 KB of white space", extension(std::string(5'000, ' ')), "400"},
      {"EXT.TERM desync", chunks("2;\nxx\r\n4c\r\n0\r\n\r\n" + next + "\r\n0\r\n\r\n"), "400"},
      {"2 CR CR ;", chunks("2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n" + next), "400"},
      {"trailer with NUL", trailer("X: a\0b\r\n"s), "400"},
      {"64 trailers", trailer([] {
         std::string s;
         for (int i = 0; i < 64; ++i) s += "X: 1\r\n";
         return s;
       }()),
       "ok:hello ok"},
      {"65 trailers", trailer([] {
         std::string s;
         for (int i = 0; i < 65; ++i) s += "X: 1\r\n";
         return s;
       }()),
       "431"},
      {"trailer of 9 KB", trailer("X: " + std::string(9'000, 'x') + "\r\n"), "431"},
      {"trailer that looks like a request", chunks("0\r\nX:POST / HTTP/1.1\r\n\r\n"), "ok:"},
  };
  for (const char* size :
       {"0x5", "+5", "-5", "5_", "0_5", " 5", "\t5", "5\t", "5h", "g", "5.0", "5,", "5\x0b", "\xef\xbc\x95", "\"5\""}) {
    vectors.push_back({"size "s + size, sized(size), "400"});
  }
  for (const char* end : {"\n", "\r", "\rX", "\r\r\n"}) {
    vectors.push_back({"size ends in "s + end, chunks("5"s + end + "hello\r\n0\r\n\r\n" + next), "400"});
  }
  for (const char* end : {"", "\n", "\r", "XX", "\rX", "\n\r", "world\r\n", " world\r\n", "\r\n\r\n"}) {
    vectors.push_back({"data ends in "s + end, chunks("5\r\nhello"s + end + "0\r\n\r\n" + next), "400"});
  }
  for (const char* legal : {";a", ";a=b", ";a=\"b\"", ";a=\"b;\\\"c\"", ";a=b;c=d", ";a;b", ";a=\"b;c\"", ";a=\"\"",
                            " ;a", "; a", "\t;\ta", ";a = b", ";a =\t\"b\" ;c", ";a=\"\xe9\t\""}) {
    vectors.push_back({"extension "s + legal, extension(legal), "ok:hello"});
  }
  for (const char* bad : {";",
                          ";a=",
                          ";=b",
                          ";;",
                          ";;a",
                          ";a;",
                          "  ",
                          ";a\tb",
                          ";a\x01"
                          "b",
                          ";a b",
                          ";a=\"b",
                          ";a=\"\x7f\"",
                          ";\xe9",
                          ";a=\"b\"c",
                          "; ",
                          ";a ",
                          ";a=b ",
                          ";a=b c",
                          ";a=\"\\\x01\"",
                          ";a=\"b\" "}) {
    vectors.push_back({"extension "s + bad, extension(bad), "400"});
  }
  for (const char* end :
       {";a\n", ";\n", ";a\r", ";a\rX", ";a\r\r\n", ";a\rb\r\n", ";a=\"x\ny\"\r\n", ";a=\"x\r\ny\"\r\n", " \r;a\r\n"}) {
    vectors.push_back({"line end in extension "s + end, chunks("5"s + end + "hello\r\n0\r\n\r\n" + next), "400"});
  }
  for (const char* end : {"0\n\r\n", "0\r\n\n", "0\n\n", "0\r\n\rX", "0\r\n\r", "0 \r\n\r\n", "0\r\nX\r\n\r\n",
                          "-0\r\n\r\n", "0\r\n \r\n\r\n"}) {
    vectors.push_back({"message ends in "s + end, chunks("5\r\nhello\r\n"s + end + next), "400"});
  }
  for (const char* lines :
       {"X: 1\r\n", "X-T: 1\r\nX-U:\r\nX-V: a b\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n", "Host: other\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n",
        "Upgrade: x\r\n", "Authorization: x\r\n", "Trailer: X\r\n", "Content-Type: x\r\n",
        "Content-Encoding: gzip\r\n"}) {
    vectors.push_back({"trailer "s + lines, trailer(lines), "ok:hello ok"});
  }
  for (const char* lines : {"X : 1\r\n", "X: 1\r\n 2\r\n", "X: 1\r\n\t2\r\n", " X: 1\r\n", "X\r\n", ": 1\r\n",
                            "X: a\rb\r\n", "X: a\nY: b\r\n", "X(: 1\r\n", "X: 1\n", "\tX: 1\r\n", "X: 1\r\r\n"}) {
    vectors.push_back({"trailer "s + lines, trailer(lines), "400"});
  }
  return vectors;
}

std::vector<Vector> connection_vectors() {
  std::vector<Vector> vectors = {
      {"two requests", get("/") + get("/b"), "ok ok"},
      {"1.0, then another", "GET / HTTP/1.0\r\n\r\n" + next, "ok closed"},
      {"1.0 with Host, then another", "GET / HTTP/1.0\r\n" + host + "\r\n" + next, "ok closed"},
      {"1.0 with keep-alive, then another", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + next, "ok ok"},
      {"1.0 with keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n" + next, "ok closed"},
      {"close, then keep-alive", with_fields("Connection: close\r\nConnection: keep-alive\r\n") + next, "ok closed"},
      {"keep-alive, then close", with_fields("Connection: keep-alive\r\nX: 1\r\nConnection: close\r\n") + next,
       "ok closed"},
      {"good, then bad", get("/") + "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "ok 400"},
      {"three good, then a bad byte", get("/") + get("/") + get("/") + "\0"s + next, "ok ok ok 400"},
      {"good, then a bad body", get("/") + chunks("x" + next), "ok 400"},
      {"good, then the HTTP/2 preface", get("/") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + next, "ok 505"},
      {"close, then bad", with_fields("Connection: close\r\n") + "\0\n"s, "ok closed"},
      {"close, and a trailer that says keep-alive",
       post("Connection: close\r\n" + coding, "5\r\nhello\r\n0\r\nConnection: keep-alive\r\n\r\n" + next),
       "ok:hello closed"},
      {"bad, then good", with_fields("X y: z\r\n") + next, "400"},
      {"Upgrade", with_fields("Connection: Upgrade\r\nUpgrade: websocket\r\n") + next, "ok ok"},
      {"Upgrade h2c", with_fields("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n") + next, "ok ok"},
      {"Upgrade without Connection", with_fields("Upgrade: websocket\r\n") + next, "ok ok"},
      {"Upgrade to HTTP/2", with_fields("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n") + next, "ok ok"},
      {"Upgrade with a body", post("Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n", "hello" + next),
       "ok:hello ok"},
      {"Upgrade with chunks", post("Connection: Upgrade\r\nUpgrade: x\r\n" + coding, hello + next), "ok:hello ok"},
      {"Upgrade in 1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + next, "ok closed"},
      {"Upgrade in 1.0 with a body",
       "POST / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhello" + next,
       "ok:hello closed"},
      {"Connection names Content-Length", post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello" + next),
       "ok:hello ok"},
      {"Expect", post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), "ok:hello"},
      {"Expect, other case", post("Expect: 100-Continue\r\nContent-Length: 5\r\n", "hello"), "ok:hello"},
      {"Expect without a body", with_fields("Expect: 100-continue\r\n"), "ok"},
      {"Expect in 1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "ok:hello closed"},
      {"Expect twice", post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", "hello"),
       "ok:hello"},
      {"Expect as a list of one kind", post("Expect: 100-continue, 100-continue\r\nContent-Length: 5\r\n", "hello"),
       "ok:hello"},
      {"unknown expectation", with_fields("Expect: 200-maybe\r\n"), "417"},
      {"odd expectation", post("Expect: y 100-continue\r\nContent-Length: 5\r\n", "hello"), "417"},
      {"expectation and another", with_fields("Expect: 100-continue, x\r\n"), "417"},
      {"empty expectation", with_fields("Expect:\r\n"), "417"},
      {"unknown expectation in 1.0", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", "ok closed"},
  };
  for (const char* value : {"close", "ClOsE", "Close, x", "x, close", "close, x", "x,close,y", "close\t",
                            "keep-alive, close", ",,close,", "close\t, x", "\tclose"}) {
    vectors.push_back({"Connection "s + value, with_fields("Connection: "s + value + "\r\n") + next, "ok closed"});
  }
  for (const char* value : {"xclose", "xclose, close-x", "clo se", "keep-alive", "", "\"close\""}) {
    vectors.push_back({"Connection "s + value, with_fields("Connection: "s + value + "\r\n") + next, "ok ok"});
  }
  return vectors;
}

std::vector<Vector> all_vectors() {
  std::vector<Vector> all;
  for (auto make : {request_line_vectors, target_vectors, host_vectors, field_vectors, framing_vectors, chunked_vectors,
                    connection_vectors}) {
    for (auto& vector : make()) all.push_back(std::move(vector));
  }
  return all;
}

}  // namespace sluice::http::test
