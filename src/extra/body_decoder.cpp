// body_decoder.cpp: the codings differ behind Decoder; the limits are the same for all of them. Any one thread.
#include "extra/body_decoder.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "base/assert.hpp"

namespace sluice::detail {

BodyDecoder::BodyDecoder(std::optional<ContentCoding> coding, const DecodingOptions& limits)
    : coding_{coding}, limits_{limits}, whole_{!coding} {
  if (!coding) return;
  decoder_ = make_decoder(*coding);
  if (!decoder_) {
    throw std::logic_error{"DecodedReader: this sluice was built without " + std::string{to_string(*coding)}};
  }
}

BodyDecoder::Step BodyDecoder::next(std::string_view in, std::span<char> out) {
  SLUICE_ASSERT(!out.empty());
  if (failed()) return {};
  Decoder::Step step{.state = Decoder::State::whole};
  if (decoder_) {
    step = decoder_->decode(in, out);
  } else {
    step.consumed = step.produced = std::min(in.size(), out.size());
    std::copy_n(in.begin(), step.produced, out.begin());
  }
  encoded_bytes_ += step.consumed;
  decoded_bytes_ += step.produced;
  holds_back_ = decoder_ && step.produced == out.size();
  judge(step.state, !in.empty() && step.consumed == 0 && step.produced == 0);
  return {step.consumed, step.produced};
}

void BodyDecoder::judge(Decoder::State state, bool stuck) noexcept {
  whole_ = state == Decoder::State::whole;
  if (state == Decoder::State::malformed || stuck) {
    fault_ = Fault::malformed;
  } else if (decoded_bytes_ > limits_.bytes_max) {
    fault_ = Fault::too_large;
  } else if (decoded_bytes_ > limits_.ratio_grace_bytes && decoded_bytes_ > encoded_bytes_ * limits_.ratio_max) {
    fault_ = Fault::ratio;
  }
}

void BodyDecoder::finish() noexcept {
  if (!failed() && !whole_) fault_ = Fault::truncated;
}

Problem BodyDecoder::problem() const {
  const std::string name{coding_ ? to_string(*coding_) : std::string_view{"identity"}};
  switch (fault_) {
    case Fault::none: break;
    case Fault::malformed: return Problem{400, {}, "The body is not valid " + name + " data."};
    case Fault::truncated: return Problem{400, {}, "The body ends before its " + name + " data does."};
    case Fault::too_large: return Problem{413, {}, "The decoded body is larger than is allowed."};
    case Fault::ratio: return Problem{413, {}, "The body decodes to far more than was sent."};
  }
  return Problem{500};
}

}  // namespace sluice::detail
