// vectors_test.cpp: every vector gets the verdict that is wanted, and every cut of its bytes the same one.
#include <gtest/gtest.h>

#include "reading.hpp"
#include "support/message_vectors.hpp"

namespace sluice::http::test {
namespace {

void expect_verdicts(const std::vector<Vector>& vectors) {
  for (const Vector& vector : vectors) {
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(read_whole(vector.bytes), vector.wanted);
  }
}

TEST(Vectors, RequestLinesAreReadAsOneReaderOnlyCan) { expect_verdicts(request_line_vectors()); }
TEST(Vectors, TargetsAreCleanOrRefused) { expect_verdicts(target_vectors()); }
TEST(Vectors, HostsAreOneAndWellFormedOrRefused) { expect_verdicts(host_vectors()); }
TEST(Vectors, FieldLinesAreStrict) { expect_verdicts(field_vectors()); }
TEST(Vectors, BodiesAreFramedInOneWayOrRefused) { expect_verdicts(framing_vectors()); }
TEST(Vectors, ChunksAreStrict) { expect_verdicts(chunked_vectors()); }
TEST(Vectors, ConnectionsEndWhereTheyMust) { expect_verdicts(connection_vectors()); }

TEST(Vectors, VerdictIsTheSameByteByByte) {
  for (const Vector& vector : all_vectors()) {
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(read_bytewise(vector.bytes), vector.wanted);
  }
}

TEST(Vectors, VerdictIsTheSameForEveryCut) {
  for (const Vector& vector : all_vectors()) {
    SCOPED_TRACE(vector.name);
    const std::size_t stride = vector.bytes.size() > 2'000 ? 97 : 1;  // long ones are long because of one repeated byte
    for (std::size_t at = 1; at < vector.bytes.size(); at += stride) {
      ASSERT_EQ(read_split(vector.bytes, at), vector.wanted) << "cut at " << at;
    }
  }
}

}  // namespace
}  // namespace sluice::http::test
