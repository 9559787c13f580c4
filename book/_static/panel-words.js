// The sentences of the panel for one setting, word for word those of helpers/figures/panel_words.py.
(() => {
  "use strict";

  const NOTHING = 1e-12; // below this the truth is rounding, and no estimate can be judged by it

  function raised(exponent) {
    const sign = (letter) => (letter === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(letter)]);
    return [...String(exponent)].map(sign).join("");
  }

  function number(value, digits = 3) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    if (value && (Number(exponent) < -3 || Number(exponent) >= 5)) {
      return `${Number(mantissa)} × 10${raised(Number(exponent))}`;
    }
    return String(Number(value.toPrecision(digits)));
  }

  function cosineText(value) {
    if (value >= 0.99995 && value < 1) return "above 0.9999";
    const text = value.toFixed(4);
    return Number(text) === 0 ? "0.0000" : text.replace("-", "−");
  }

  function judgement(estimate, truth) {
    if (truth < NOTHING) return "";
    const ratio = estimate / truth;
    if (Math.abs(ratio - 1) <= 0.005) return ", right to half a percent";
    if (ratio < 0.5) {
      return ratio ? `, ${number(1 / ratio, 2)} times too little` : ", nothing at all";
    }
    if (ratio < 2) {
      const percent = (Math.abs(ratio - 1) * 100).toFixed(0);
      return `, ${percent}% too ${ratio > 1 ? "much" : "little"}`;
    }
    return `, ${number(ratio, 2)} times too much`;
  }

  function sentences(reading) {
    const data = (name) => {
      const text = name.startsWith("cosine") ? cosineText(reading[name]) : number(reading[name]);
      return `<data data-reading="${name}" value="${reading[name]}">${text}</data>`;
    };
    const says = (who, name, truth) =>
      `${who} says ${data(name)}${judgement(reading[name], reading[truth])}.`;
    return {
      angular:
        `<b>Angle of p.</b> In truth 1 − cos(p, q) is ${data("angular")}. ` +
        `${says("Theorem 2", "theorem_2", "angular")} ` +
        `${says("The bounded form", "bounded", "angular")}`,
      kl:
        `<b>KL.</b> In truth KL(p‖q) is ${data("kl")} nats. ` +
        `${says("Theorem 3", "theorem_3", "kl")}`,
      logits:
        `<b>Logits.</b> The cosine of z and z + Δz is ${data("cosine")}, and ` +
        `${data("cosine_centred")} with the mean logit taken out.`,
    };
  }

  function settingTexts({ size, touched, temperature }, count) {
    const spread =
      touched === 1 ? "the likeliest token alone" : `the ${touched.toLocaleString("en")} likeliest`;
    return {
      size: `${size} logit unit${size === 1 ? "" : "s"}`,
      touched: touched === count ? `all ${count.toLocaleString("en")} tokens` : spread,
      temperature: `T = ${temperature}`,
    };
  }

  window.softmaxWords = { sentences, settingTexts, raised };
})();
