// random_counts.h -- Poisson and binomial counts from uniform numbers, for every device: next() gives one in [0, 1).
// For large means both use Hoermann's transformed rejection.
//
// Included inside the namespace where the functions shall be, after PYNN_COUNTS_FN (what stands before a function) and
// PYNN_MATH(name) are defined; no include guard.

template <class Next>
PYNN_COUNTS_FN double poisson_one(double mean, Next next) {
  if (!(mean > 0)) return mean != mean ? mean : 0;
  if (mean < 10) {  // uniforms are multiplied until they fall below e^-mean
    const double limit = PYNN_MATH(exp)(-mean);
    double product = 1;
    for (int64_t k = 0;; ++k) {
      product *= next();
      if (product <= limit) return static_cast<double>(k);
    }
  }
  const double root = PYNN_MATH(sqrt)(mean), log_mean = PYNN_MATH(log)(mean);
  const double b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), fast = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = next() - 0.5, v = next(), us = 0.5 - PYNN_MATH(fabs)(u);
    const double k = PYNN_MATH(floor)((2 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= fast) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    const double left = PYNN_MATH(log)(v) + PYNN_MATH(log)(inverse_alpha) - PYNN_MATH(log)(a / (us * us) + b);
    if (left <= -mean + k * log_mean - PYNN_MATH(lgamma)(k + 1)) return k;
  }
}

// log(k!) minus Stirling's formula.
PYNN_COUNTS_FN double stirling_tail(double k) {
  constexpr double table[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.0207906721037650,
                              0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                              0.00925546218271273, 0.00833056343336287};
  if (k <= 9) return table[static_cast<int>(k)];
  const double s = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / s) / s) / (k + 1);
}

template <class Next>
PYNN_COUNTS_FN double binomial_low(double n, double p, Next next) {  // p <= 1/2
  if (n * p < 10) {                                                  // gaps between successes are geometric
    const double scale = PYNN_MATH(log1p)(-p);
    double tried = 0;
    for (int64_t found = 0;; ++found) {
      tried += PYNN_MATH(ceil)(PYNN_MATH(log)(next()) / scale);
      if (!(tried <= n)) return static_cast<double>(found);
    }
  }
  const double deviation = PYNN_MATH(sqrt)(n * p * (1 - p));
  const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, c = n * p + 0.5;
  const double fast = 0.92 - 4.2 / b, r = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation;
  const double m = PYNN_MATH(floor)((n + 1) * p);
  for (;;) {
    const double u = next() - 0.5, v = next(), us = 0.5 - PYNN_MATH(fabs)(u);
    const double k = PYNN_MATH(floor)((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= fast) return k;
    if (k < 0 || k > n) continue;
    const double left = PYNN_MATH(log)(v * alpha / (a / (us * us) + b));
    const double bound = (m + 0.5) * PYNN_MATH(log)((m + 1) / (r * (n - m + 1))) +
                         (n + 1) * PYNN_MATH(log)((n - m + 1) / (n - k + 1)) +
                         (k + 0.5) * PYNN_MATH(log)(r * (n - k + 1) / (k + 1)) + stirling_tail(m) +
                         stirling_tail(n - m) - stirling_tail(k) - stirling_tail(n - k);
    if (left <= bound) return k;
  }
}
template <class Next>
PYNN_COUNTS_FN double binomial_one(double n, double p, Next next) {
  if (n != n || p != p) return n + p;
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  return p <= 0.5 ? binomial_low(n, p, next) : n - binomial_low(n, 1 - p, next);
}
