// Elementary functions on Vec. Polynomials are minimax fits of our own; each is shaped so that its value at 0 is exact,
// because an error in a decay close to 1 is amplified over all the steps that decay spans.
#pragma once

namespace selective_scan {
namespace {

// 2^(f + exponent) for the two parts of split_exponent: 2^f = 1 + f q(f), relative error 1e-8 before rounding.
inline Vec exp2_of_parts(Vec f, Vec exponent) {
  Vec q = Vec::set(0.000153983943f);
  q = fma(q, f, Vec::set(0.00133877667f));
  q = fma(q, f, Vec::set(0.00961824786f));
  q = fma(q, f, Vec::set(0.0555036664f));
  q = fma(q, f, Vec::set(0.240226492f));
  q = fma(q, f, Vec::set(0.693147182f));
  return scale_by_exponent(fma(q, f, Vec::set(1.0f)), exponent);
}

// 2^x: 0 far below, infinity far above, NaN kept.
inline Vec exp2(Vec x) {
  Vec exponent;
  const Vec f = split_exponent(x, &exponent);
  return exp2_of_parts(f, exponent);
}

// e^x. The part of x log2(e) that float32 drops is carried along: at |x| = 80 it is worth 40 units in the last place.
inline Vec exp(Vec x) {
  const Vec limit = Vec::set(110.0f);  // beyond it the result is 0 or infinity, and infinite arguments have no parts
  x = select_greater(x, limit, limit, x);
  x = select_greater(Vec::zero() - limit, x, Vec::zero() - limit, x);
  const Vec log2e = Vec::set(1.44269502f);
  const Vec log2e_low = Vec::set(1.92596299e-8f);
  const Vec scaled = x * log2e;
  Vec exponent;
  const Vec f = split_exponent(scaled, &exponent);
  return exp2_of_parts(f + fma(x, log2e_low, exact_product_minus(x, log2e, scaled)), exponent);
}

// log(1 + e) for e >= 0: the logarithm of the float32 sum 1 + e, with what that sum rounded away put back into the
// mantissa, so that a small e gives e - e^2/2 and not 0.
inline Vec log1p(Vec e) {
  const Vec one = Vec::set(1.0f);
  const Vec sum = one + e;
  // The larger of the two summands is subtracted first, which makes the rest exact.
  const Vec lost = select_greater(e, one, one - (sum - e), e - (sum - one));
  Vec power, inverse;
  const Vec mantissa = split_mantissa(sum, &power, &inverse);
  const Vec f = fma(lost, inverse, mantissa - one);
  Vec p = Vec::set(0.0674660131f);
  p = fma(p, f, Vec::set(-0.116756409f));
  p = fma(p, f, Vec::set(0.118881747f));
  p = fma(p, f, Vec::set(-0.124055915f));
  p = fma(p, f, Vec::set(0.142195508f));
  p = fma(p, f, Vec::set(-0.166679963f));
  p = fma(p, f, Vec::set(0.200021192f));
  p = fma(p, f, Vec::set(-0.250000089f));
  p = fma(p, f, Vec::set(0.333333135f));
  p = fma(p, f, Vec::set(-0.5f));
  return fma(power, Vec::set(0.693147182f), fma(p, f * f, fma(power, Vec::set(-1.90465421e-9f), f)));
}

// The identity above 20, as in the definition.
inline Vec softplus(Vec x) { return select_greater(x, Vec::set(20.0f), x, log1p(exp(x))); }

// z sigmoid(z). Far below, e^-z is infinite and the quotient -0.
inline Vec silu(Vec z) { return z / (Vec::set(1.0f) + exp(Vec::zero() - z)); }

// The same for a 16-bit result, which hides that float32 drops a part of z log2(e).
inline Vec rough_silu(Vec z) { return z / (Vec::set(1.0f) + exp2(z * Vec::set(-1.44269502f))); }

// sin and cos of pi r for |r| <= 0.5. The first coefficients are those of the series, each with the part that float32
// drops: small angles then have no bias, which would add up over the steps, nor has the modulus.
inline void sin_cos_pi(Vec r, Vec* sine, Vec* cosine) {
  const Vec t = r * r;
  Vec s = Vec::set(-0.00702821231f);
  s = fma(s, t, Vec::set(0.0820506886f));
  s = fma(s, t, Vec::set(-0.599252403f));
  s = fma(s, t, Vec::set(2.55016327f));
  s = fma(s, t, Vec::set(-5.16771269f));
  s = fma(s, t, Vec::set(-8.74227766e-8f));
  *sine = fma(r, Vec::set(3.14159274f), r * s);
  Vec c = Vec::set(-0.0245299917f);
  c = fma(c, t, Vec::set(0.235024303f));
  c = fma(c, t, Vec::set(-1.33523202f));
  c = fma(c, t, Vec::set(4.05871105f));
  c = fma(c, t, Vec::set(-1.45185793e-7f));
  *cosine = fma(t, Vec::set(-4.93480206f), fma(c, t, Vec::set(1.0f)));
}

// (-1)^k for an integer k.
inline Vec sign_of_parity(Vec k) {
  const Vec half = k * Vec::set(0.5f);
  const Vec odd = half - round_nearest(half);  // 0 or +-0.5
  return fnma(odd * Vec::set(8.0f), odd, Vec::set(1.0f));
}

}  // namespace
}  // namespace selective_scan
