#include "sim/core/draw.hpp"

namespace sluice::sim {
namespace {

/// Natural logarithm of a value above 0, by the series of the inverse hyperbolic tangent.
double logarithm(double value) noexcept {
  constexpr double ln2 = 0.693147180559945309417;
  int exponent = 0;
  double mantissa = std::frexp(value, &exponent);  // exact
  if (mantissa < 0.70710678118654752) {
    mantissa *= 2;
    --exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  const double square = s * s;
  double sum = 0;
  for (int power = 21; power >= 1; power -= 2) sum = sum * square + 1.0 / power;
  return 2 * s * sum + exponent * ln2;
}

/// Cube root of a value in (0, 1], by Newton's method from above.
double cube_root(double value) noexcept {
  double root = 1;
  for (int step = 0; step < 40; ++step) {
    const double better = (2 * root + value / (root * root)) / 3;
    if (!(better < root)) break;
    root = better;
  }
  return root;
}

constexpr double highest = 50;  // of the bounded Pareto, in means

/// The smallest value of a bounded Pareto of alpha 1.5 and mean 1.
double lowest() noexcept {
  const auto mean = [](double low) {
    const double share = low / highest;
    return 3 * low * std::sqrt(low) * (1 / std::sqrt(low) - 1 / std::sqrt(highest)) / (1 - share * std::sqrt(share));
  };
  double below = 0.1, above = 1;
  for (int step = 0; step < 60; ++step) {
    const double middle = (below + above) / 2;
    (mean(middle) < 1 ? below : above) = middle;
  }
  return below;
}

double pareto(double uniform) noexcept {
  static const double low = lowest();
  const double share = low / highest;
  const double root = cube_root(1 - uniform * (1 - share * std::sqrt(share)));
  return low / (root * root);  // to the power of -1 / alpha
}

}  // namespace

double Draw::factor() noexcept {
  const double uniform = shape_ == Shape::fixed ? 0 : random_.uniform();
  switch (shape_) {
    case Shape::fixed: return 1;
    case Shape::exponential: return -logarithm(1 - uniform);
    case Shape::bimodal: return uniform < 0.9 ? 0.5 : 5.5;
    case Shape::pareto: return pareto(uniform);
  }
  return 1;
}

const char* to_string(Shape shape) noexcept {
  switch (shape) {
    case Shape::fixed: return "fixed";
    case Shape::exponential: return "exp";
    case Shape::bimodal: return "bimodal";
    case Shape::pareto: return "pareto";
  }
  return "";
}

std::optional<Shape> shape_named(std::string_view name) noexcept {
  for (const Shape shape : shapes) {
    if (name == to_string(shape)) return shape;
  }
  return std::nullopt;
}

}  // namespace sluice::sim
