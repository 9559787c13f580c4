// The numbers behind the panel: what a perturbation of the logits does to the probabilities.
// chapters/representation_analysis/panel_model.py computes the same in Python; the tests compare
// the two.
(() => {
  "use strict";

  // Standard normal numbers: the Box–Muller transform of hashed integers (the finalizer of
  // MurmurHash3, public domain), the same in both languages.
  function normalDraws(count, seed) {
    const offset = Math.imul(seed, 0x9e3779b9);
    const uniform = (index) => {
      let mixed = (index + offset) >>> 0;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return (((mixed ^ (mixed >>> 16)) >>> 0) + 0.5) / 4294967296;
    };
    return Float64Array.from({ length: count }, (_, token) => {
      const radius = Math.sqrt(-2 * Math.log(uniform(2 * token)));
      return radius * Math.cos(2 * Math.PI * uniform(2 * token + 1));
    });
  }

  // All logits, descending, from the line through a few of them.
  function logits({ ranks, values }) {
    const every = new Float64Array(ranks[ranks.length - 1] + 1);
    every[0] = values[0];
    for (let knot = 1; knot < ranks.length; knot += 1) {
      const [first, end] = [ranks[knot - 1], ranks[knot]];
      const slope = (values[knot] - values[knot - 1]) / (end - first);
      for (let rank = first + 1; rank <= end; rank += 1) {
        every[rank] = values[knot - 1] + slope * (rank - first);
      }
    }
    return every;
  }

  // What does not depend on the size of Δz. `draws` has a number for each token; the `touched`
  // likeliest tokens move, by a root mean square of 1.
  function prepare(z, draws, touched, temperature) {
    const count = z.length;
    let square = 0;
    for (let token = 0; token < touched; token += 1) square += draws[token] ** 2;
    const scale = 1 / Math.sqrt(square / touched);
    const unit = draws.slice(0, touched).map((draw) => draw * scale);

    const log = new Float64Array(count); // log p, up to a constant
    const weight = new Float64Array(count);
    const sums = { p: 0, r: 0, z: 0, zz: 0, zd: 0, d: 0 };
    const rest = { p: 0, r: 0 }; // of the tokens that are not touched
    const mean = { p: 0, r: 0 };
    for (let token = 0; token < count; token += 1) {
      log[token] = (z[token] - z[0]) / temperature;
      const p = Math.exp(log[token]);
      weight[token] = p;
      sums.p += p;
      sums.r += p * p;
      sums.z += z[token];
      sums.zz += z[token] ** 2;
      if (token < touched) {
        const d = unit[token];
        sums.d += d;
        sums.zd += z[token] * d;
        mean.p += p * d;
        mean.r += p * p * d;
      } else {
        rest.p += p;
        rest.r += p * p;
      }
    }
    mean.p /= sums.p;
    mean.r /= sums.r;
    const variance = { p: rest.p * mean.p ** 2, r: rest.r * mean.r ** 2 };
    for (let token = 0; token < touched; token += 1) {
      variance.p += weight[token] * (unit[token] - mean.p) ** 2;
      variance.r += weight[token] ** 2 * (unit[token] - mean.r) ** 2;
    }
    variance.p /= sums.p;
    variance.r /= sums.r;
    return { count, touched, temperature, unit, log, weight, sums, rest, mean, variance };
  }

  // Truth and estimates at one size of Δz; `after(token)` is the new probability of a token.
  function reading(state, size) {
    const { count, touched, temperature, unit, log, weight, sums, rest, mean, variance } = state;
    const step = size / temperature;
    let top = touched < count ? log[touched] : -Infinity;
    for (let token = 0; token < touched; token += 1) {
      top = Math.max(top, log[token] + step * unit[token]);
    }
    const still = Math.exp(-top);
    const total = { q: rest.p * still, pq: rest.r * still, qq: rest.r * still * still };
    for (let token = 0; token < touched; token += 1) {
      const q = Math.exp(log[token] + step * unit[token] - top);
      total.q += q;
      total.pq += weight[token] * q;
      total.qq += q * q;
    }
    const estimate = (value) => (value * step * step) / 2;
    const angle = (zz, zd, dd) =>
      Math.max(0, 1 - (zz + size * zd) / Math.sqrt(zz * (zz + 2 * size * zd + size * size * dd)));
    const level = sums.z / count;
    return {
      size,
      angular: Math.max(0, 1 - total.pq / Math.sqrt(sums.r * total.qq)),
      theorem_2: estimate(variance.r),
      bounded: -Math.expm1(-estimate(variance.r)),
      kl: Math.max(0, Math.log(total.q / sums.p) + top - step * mean.p),
      theorem_3: estimate(variance.p),
      logit: angle(sums.zz, sums.zd, touched),
      logit_centred: angle(
        sums.zz - count * level ** 2,
        sums.zd - level * sums.d,
        touched - sums.d ** 2 / count,
      ),
      before: (token) => weight[token] / sums.p,
      after: (token) =>
        Math.exp(log[token] + (token < touched ? step * unit[token] : 0) - top) / total.q,
    };
  }

  window.softmaxPanel = { normalDraws, logits, prepare, reading };
})();
