#include "net/address.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::net {
namespace {

TEST(Address, ReadsWhatItWrites) {
  for (const char* const text : {"127.0.0.1:8080", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:8080", "[::]:80",
                                 "[fe80::1]:443", "unix:/run/app.sock", "unix:relative.sock", "unix:@name"}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address) << address.error();
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(Address, TellsItsParts) {
  const auto four = Address::parse("10.1.2.3:81");
  EXPECT_EQ(four->family(), AF_INET);
  EXPECT_EQ(four->port(), 81);
  EXPECT_EQ(four->host(), "10.1.2.3");
  auto six = Address::parse("[0:0:0:0:0:0:0:1]:0");
  six->set_port(9);
  EXPECT_EQ(six->to_string(), "[::1]:9");
  const auto file = Address::parse("unix:/tmp/x");
  EXPECT_TRUE(file->is_unix());
  EXPECT_FALSE(file->is_abstract());
  EXPECT_EQ(file->path(), "/tmp/x");
  EXPECT_EQ(file->path().data()[6], '\0');
  const auto name = Address::parse("unix:@x");
  EXPECT_TRUE(name->is_abstract());
  EXPECT_EQ(name->path(), "");
  EXPECT_EQ(name->port(), 0);
}

TEST(Address, RefusesWithASentence) {
  for (const std::string text : {"",
                                 ":",
                                 "8080",
                                 "127.0.0.1",
                                 "127.0.0.1:",
                                 "127.0.0.1:65536",
                                 "127.0.0.1:-1",
                                 "127.0.0.1:+1",
                                 "127.0.0.1: 1",
                                 "127.0.0.1:80x",
                                 "localhost:80",
                                 "127.0.0.256:80",
                                 "127.1:80",
                                 ":80",
                                 "::1:80",
                                 "[::1]",
                                 "[::1]80",
                                 "[::1:80",
                                 "[::g]:80",
                                 "[]:80",
                                 "[127.0.0.1]:80",
                                 "unix:",
                                 "unix:@",
                                 "http://127.0.0.1:80"}) {
    const auto address = Address::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_TRUE(address.error().starts_with('"' + text + "\" is not an address to listen on: ")) << address.error();
  }
}

TEST(Address, BoundsTheLengthOfAUnixName) {
  EXPECT_TRUE(Address::parse("unix:/" + std::string(106, 'a')));
  const auto longer = Address::parse("unix:/" + std::string(107, 'a'));
  ASSERT_FALSE(longer);
  EXPECT_NE(longer.error().find("at most 107 bytes"), std::string::npos);
  EXPECT_EQ(Address::parse("unix:@" + std::string(106, 'a'))->to_string(), "unix:@" + std::string(106, 'a'));
  EXPECT_FALSE(Address::parse("unix:@" + std::string(107, 'a')));
  EXPECT_FALSE(Address::parse(std::string{"unix:/a\0b", 9}));
}

TEST(Address, HasATextForNothing) { EXPECT_EQ(Address{}.to_string(), "unknown"); }

}  // namespace
}  // namespace sluice::net
