"""Plausible wrong answers to the exercises, by exercise: code in the answer's place, and a part of
the line that must meet it."""

WRONG = {
    "01-introduction-1": [
        ("lost = (0, 0)", "stays if as many wrong ones become right"),
        ("lost = (0, 120)", "only 80 were wrong"),
    ],
    "01-introduction-2": [
        ("def left(dense, pruned, chance):\n    return pruned / dense", "guessing counts"),
        (
            "def left(dense, pruned, chance):\n    return (dense - pruned) / (dense - chance)",
            "share that is lost",
        ),
    ],
    "01-introduction-3": [("mlps = 2", "look for the first"), ("mlps = 6", "fewer will do")],
    "pruning-by-hand-1": [
        ("changed = {'wanda'}", "magnitude: on a random matrix its mask changes"),
        ("changed = {'magnitude', 'wanda'}", "wanda: on a random matrix its mask does not"),
    ],
    "pruning-by-hand-2": [
        (
            "def wanda(weight, norms, ratio):\n    scores = weight.abs()\n"
            "    places = scores.argsort(dim=-1)[:, : int(ratio * weight.shape[1])]\n"
            "    return torch.zeros_like(weight, dtype=torch.bool).scatter(-1, places, True)",
            "that is magnitude",
        ),
        (
            "def wanda(weight, norms, ratio):\n    scores = weight.abs() * norms\n"
            "    return scores <= scores.quantile(ratio)",
            "compete within their row",
        ),
    ],
    "pruning-by-hand-3": [
        (
            "def two_of_four(weight):\n"
            "    places = weight.abs().argsort(dim=-1)[:, : weight.shape[1] // 2]\n"
            "    return torch.zeros_like(weight, dtype=torch.bool).scatter(-1, places, True)",
            "some fours of neighbours lose three",
        ),
        (
            "def two_of_four(weight):\n    fours = weight.abs().reshape(-1, 4)\n"
            "    places = fours.argsort(dim=-1)[:, 2:]\n    gone = torch.zeros_like(fours)\n"
            "    return gone.scatter(-1, places, 1.0).bool().reshape(weight.shape)",
            "weights that stay",
        ),
    ],
    "pruning-by-hand-4": [
        ("highest = {'magnitude': 0.5, 'wanda': 0.5}", "magnitude: with 50% of the weights gone"),
        ("highest = {'magnitude': 0.1, 'wanda': 0.1}", "highest amount that stays below"),
    ],
    "03-background-1": [
        ("changed = {'option', 'greedy text', 'entropy', 'drawn text'}", "keeps their order"),
        ("changed = {'entropy'}", "something is missing"),
    ],
    "03-background-2": [
        (
            "def softmax(z, temperature):\n    weights = torch.exp(z / temperature)\n"
            "    return weights / weights.sum()",
            "exp overflows",
        ),
        (
            "def softmax(z, temperature):\n    weights = torch.exp((z - z.max()) * temperature)\n"
            "    return weights / weights.sum()",
            "should flatten, yours sharpens",
        ),
    ],
    "03-background-3": [
        (
            "def temperature_for(z, nats):\n    p = softmax(z, 1.0)\n"
            "    return nats / -torch.xlogy(p, p).sum()",
            "not in proportion",
        ),
        ("def temperature_for(z, nats):\n    return 0.0", "a temperature is above 0"),
    ],
    "04-inconsistent-effects-1": [
        ("harmed = {'A', 'B', 'C', 'D'}", "no farther from guessing"),
        ("harmed = {'D'}", "A: the dense score lies many errors above"),
    ],
    "04-inconsistent-effects-2": [
        (
            "def distinct(tokens, n):\n    grams = {tuple(tokens[i : i + n]) "
            "for i in range(len(tokens) - n + 1)}\n    return len(grams) / len(tokens)",
            "fewer n-grams than tokens",
        ),
        (
            "def distinct(tokens, n):\n    return len(set(tokens)) / len(tokens)",
            "those are single tokens",
        ),
    ],
    "04-inconsistent-effects-3": [
        (
            "def of(pruned):\n    return distinct(experiment('written', pruned=pruned)['token']"
            ".to_list(), 2)\nvariety = {one: of(one) for one in ('dense', 'Drop-2M', 'Drop-4M')}",
            "all texts as one",
        ),
        ("variety = {'dense': 1.0, 'Drop-2M': 0.5, 'Drop-4M': 0.1}", "the mean is not"),
    ],
    "05-hierarchical-effects-1": [
        (
            "prediction = {'embedding': 'same', 'logit': 'smaller', 'probability': 'smaller'}",
            "logit: the deviation is",
        ),
        (
            "prediction = {'embedding': 'same', 'logit': 'same', 'probability': 'larger'}",
            "probability: the deviation is",
        ),
    ],
    "05-hierarchical-effects-2": [
        (
            "def angular(a, b):\n    return 1 - torch.cosine_similarity(a, b, dim=0)",
            "float32 has seven digits",
        ),
        (
            "def angular(a, b):\n    return torch.cosine_similarity(a.double(), b.double(), dim=0)",
            "that is the cosine",
        ),
    ],
    "05-hierarchical-effects-3": [
        (
            "p = rows[rows['space'] == 'probability'].set_index('layer')['deviation']\n"
            "least, most = p.idxmax(), p.idxmin()",
            "other way round",
        ),
        (
            "h = rows[rows['space'] == 'embedding'].set_index('layer')['deviation']\n"
            "least, most = h.idxmin(), h.idxmax()",
            "of the embedding space",
        ),
    ],
    "06-representation-analysis-1": [
        ("moved = {'cosine of z', 'variance under p'}", "variance under p: on fifty"),
        ("moved = set()", "cosine of z: on fifty"),
    ],
    "06-representation-analysis-2": [
        (
            "def kl_estimate(z, delta, temperature):\n"
            "    return float(delta.var() / (2 * temperature**2))",
            "every token counts the same",
        ),
        (
            "def kl_estimate(z, delta, temperature):\n    p = torch.softmax(z / temperature, -1)\n"
            "    return float((p * (delta - (p * delta).sum()) ** 2).sum() / 2)",
            "to be divided by 2 T²",
        ),
    ],
    "06-representation-analysis-3": [
        ("delta = torch.zeros_like(z)\ndelta[0] = 20.0", "p hardly turns"),
        ("delta = torch.zeros_like(z)\ndelta[1] = 1e9", "not ten times too small"),
    ],
    "07-multi-scale-effects-1": [
        ("prediction = {'forced': 'zero', 'free': 'zero'}", "first draw that differs"),
        ("prediction = {'forced': 'above zero', 'free': 'above zero'}", "both read the same"),
    ],
    "07-multi-scale-effects-2": [
        (
            "def common(one, other):\n    return sum(a == b for a, b in zip(one, other))",
            "equal tokens after the parting",
        ),
        (
            "def common(one, other):\n"
            "    return next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), -1)",
            "they share all",
        ),
    ],
    "07-multi-scale-effects-3": [
        ("shared = {'Drop-1M': 32, 'Drop-2M': 32, 'Drop-4A': 32}", "Drop-1M"),
        ("shared = {}", "there is no number for Drop-1M"),
    ],
    "b-kl-divergence-1": [
        ("power = 3", "the third cumulant of a symmetric change"),
        ("power = 2", "by far more or less"),
    ],
    "b-kl-divergence-2": [
        (
            "def kl(z, delta, temperature):\n    log_p = torch.log_softmax(z / temperature, -1)\n"
            "    log_q = torch.log_softmax((z + delta) / temperature, -1)\n"
            "    return float((log_q.exp() * (log_q - log_p)).sum())",
            "that is KL(q‖p)",
        ),
        (
            "def kl(z, delta, temperature):\n    p = torch.exp(z / temperature)\n"
            "    q = torch.exp((z + delta) / temperature)\n    p, q = p / p.sum(), q / q.sum()\n"
            "    return float((p * (p / q).log()).sum())",
            "exp overflows",
        ),
    ],
    "b-kl-divergence-3": [
        ("size = 0.01", "look for the first s"),
        ("size = 10.0", "look for the first s"),
    ],
    "c-angular-deviation-1": [
        ("large = {'Theorem 1', 'Theorem 2', 'p'}", "Theorem 2: with ten likely tokens"),
        ("large = set()", "Theorem 1: with ten likely tokens"),
    ],
    "c-angular-deviation-2": [
        ("def r(z, temperature):\n    return torch.softmax(z / temperature, -1) ** 2", "sums to"),
        (
            "def r(z, temperature):\n    return torch.softmax(z / (2 * temperature), -1)",
            "squaring sharpens",
        ),
    ],
    "c-angular-deviation-3": [
        (
            "def angle(z, delta, temperature):\n    w = r(z, temperature)\n"
            "    variance = (w * (delta - (w * delta).sum()) ** 2).sum()\n"
            "    return float(variance / (2 * temperature**2))",
            "Theorem 2's estimate",
        ),
        (
            "def angle(z, delta, temperature):\n"
            "    p = torch.softmax(z / temperature, -1).float()\n"
            "    q = torch.softmax((z + delta) / temperature, -1).float()\n"
            "    return float(1 - torch.cosine_similarity(p, q, dim=0))",
            "digits cancel",
        ),
    ],
    "demonstration-1": [
        ("found = ['capitals-01', 'capitals-01', 'capitals-01']", "three different"),
        ("found = ['capitals-01', 'Paris', 'Rome']", "is no question"),
    ],
    "ladder-1": [
        ("prediction = 'falls more steeply'", "reorder"),
        ("prediction = 'falls less steeply'", "reorder"),
    ],
    "ladder-2": [
        (
            "def best_of(rank, vocabulary, candidates):\n"
            "    return max(0, 1 - (rank - 1) * candidates / vocabulary)",
            "do not add up",
        ),
        (
            "def best_of(rank, vocabulary, candidates):\n"
            "    return 1 - (1 - candidates / vocabulary) ** (rank - 1)",
            "chance to lose",
        ),
    ],
    "ladder-3": [("candidates = 4", "still more"), ("candidates = 49152", "so it has at fewer")],
    "probes-1": [
        ("leans = 'makes up a loss of writing'", "which side is helped"),
        ("leans = 'nothing'", "one side has them"),
    ],
    "probes-2": [
        (
            "def more_lost(dense_choice, dense_written, pruned_choice, pruned_written, chance):\n"
            "    return (dense_written - pruned_written) - (dense_choice - pruned_choice)",
            "cannot fall below guessing",
        ),
        (
            "def more_lost(dense_choice, dense_written, pruned_choice, pruned_written, chance):\n"
            "    lost = (dense_choice - pruned_choice) / (1 - chance)\n"
            "    return lost - (dense_written - pruned_written)",
            "the sign is turned",
        ),
    ],
    "probes-3": [
        (
            "def interval(dense, pruned):\n    error = (dense.var() / len(dense) "
            "+ pruned.var() / len(pruned)) ** 0.5\n    mean = pruned.mean() - dense.mean()\n"
            "    return mean - 1.96 * error, mean + 1.96 * error",
            "too wide",
        ),
        (
            "def interval(dense, pruned):\n    change = pruned - dense\n"
            "    return change.mean() - 1.96 * change.std(), change.mean() + 1.96 * change.std()",
            "how far single questions lie apart",
        ),
    ],
    "a-perturbation-1": [
        ("temperature = 2", "flatter"),
        ("temperature = 1", "only a common offset"),
    ],
    "a-perturbation-2": [
        (
            "def moved(p, delta, temperature):\n"
            "    return torch.softmax((p.log() + delta) / temperature, dim=-1)",
            "divide the change alone",
        ),
        (
            "def moved(p, delta, temperature):\n"
            "    weights = p * torch.exp(delta / temperature)\n    return weights / weights.sum()",
            "exp overflows",
        ),
    ],
    "a-perturbation-3": [
        (
            "z = rows['logit']\nrise = z[0] - z[1]",
            "draws level with the first",
        ),
        (
            "p = torch.softmax(torch.tensor(rows['logit']), dim=-1)[1]\n"
            "rise = float((0.5 / p).log())",
            "is not twice the probability",
        ),
    ],
    "h-temperature-1": [
        ("prediction = '16'", "falls where p stays"),
        ("prediction = 'more than 16'", "the p of two tokens"),
    ],
    "h-temperature-2": [
        (
            "def exchange(gap, temperature):\n    return gap * tanh(gap / 2) / temperature**2",
            "p itself depends on T",
        ),
        (
            "def exchange(gap, temperature):\n    return gap * tanh(gap / 2 / temperature)",
            "a difference of logits over T",
        ),
    ],
    "h-temperature-3": [
        ("power = 2.0", "and KL falls by"),
        ("power = -1.88", "turn the sign"),
    ],
    "noise-floor-1": [
        (
            "exact = {'a + b = b + a', '(a + b) + c = a + (b + c)', '2 a + 2 b = 2 (a + b)', "
            "'3 a + 3 b = 3 (a + b)'}",
            "(a + b) + c = a + (b + c): of 1,000",
        ),
        ("exact = {'a + b = b + a'}", "2 a + 2 b = 2 (a + b): of 1,000"),
    ],
    "noise-floor-2": [
        ("def noise_alone(p, sigma):\n    return sigma**2 / 2", "all logits share moves nothing"),
        (
            "def noise_alone(p, sigma):\n    return float(sigma**2 * (1 - (p**2).sum()))",
            "half the variance",
        ),
    ],
    "noise-floor-3": [
        (
            "p = torch.softmax(torch.tensor(rows['logit']), dim=-1)\n"
            "sigma = apart['kl'][2] / noise_alone(p, 1.0)",
            "grows with the square",
        ),
        ("sigma = 0.01", "nats, not"),
    ],
    "validity-1": [
        (
            "prediction = {'Theorem 1': 'nearer', 'Theorem 2': 'nearer', 'Theorem 3': 'nearer'}",
            "Theorem 1: it speaks of states",
        ),
        (
            "prediction = {'Theorem 1': 'as far', 'Theorem 2': 'as far', 'Theorem 3': 'as far'}",
            "Theorem 2: T divides the change",
        ),
    ],
    "validity-2": [
        (
            "def third_order(z, delta, temperature):\n"
            "    p, u = torch.softmax(z / temperature, dim=-1), delta / temperature\n"
            "    u = u - (p * u).sum()\n    return float((p * u**2).sum() / 2)",
            "the third is missing",
        ),
        (
            "def third_order(z, delta, temperature):\n"
            "    p, u = torch.softmax(z / temperature, dim=-1), delta / temperature\n"
            "    return float((p * u**2).sum() / 2 + (p * u**3).sum() / 6)",
            "is right",
        ),
    ],
    "validity-3": [
        ("temperature = 1.0", "look higher"),
        ("temperature = 10.0", "at lower ones too"),
    ],
    "decisions-1": [
        ("prediction = 'as many'", "five prompts never part"),
        ("prediction = 'fewer'", "five prompts never part"),
    ],
    "decisions-2": [
        (
            "def ahead(margin, mean, spread):\n"
            "    return NormalDist().cdf((margin + mean) / spread)",
            "the choice stays",
        ),
        (
            "def ahead(margin, mean, spread):\n    return NormalDist().cdf(-margin / spread)",
            "moves the margin too",
        ),
    ],
    "decisions-3": [
        ("chances_by_text = dict.fromkeys(TEXTS[:3], 0.5)", "it leads by"),
        (
            "import torch\n\ndef lead(text):\n"
            "    z = torch.tensor(experiment('next_token', text=text)['logit'])\n"
            "    return float(z.softmax(-1)[0] - z.softmax(-1)[1])\n\n"
            "chances_by_text = {text: ahead(lead(text), 0.0, 1.0) for text in TEXTS[:3]}",
            "a difference of probabilities",
        ),
    ],
    "subspace-1": [
        (
            "prediction = {'gap': 'larger', 'noise': 'as before', 'survival': 'smaller'}",
            "gap: of more numbers",
        ),
        (
            "prediction = {'gap': 'smaller', 'noise': 'larger', 'survival': 'smaller'}",
            "noise: pruning adds it",
        ),
    ],
    "subspace-2": [
        (
            "def survives(z, delta, tokens):\n    return bool(z.argmax() == (z + delta).argmax())",
            "among all tokens perhaps",
        ),
        (
            "def survives(z, delta, tokens):\n"
            "    return bool(z[tokens].argmax() != (z + delta)[tokens].argmax())",
            "the opposite",
        ),
    ],
    "subspace-3": [("count = 4", "look further"), ("count = 512", "fewer will do")],
    "should-i-prune-1": [("inputs = 80", "root of n"), ("inputs = 30", "may fail")],
    "should-i-prune-2": [
        ("def worst(count):\n    return 3 / count", "exceeds 100%"),
        ("def worst(count):\n    return 0.05 ** (1 / count)", "rate of successes"),
    ],
    "should-i-prune-3": [
        (
            "safe = {one for one in DROPPED if experiment('forms', pruned=one)"
            ".query(\"form == 'generation'\")['right'].mean() > 0.93 - 0.15}",
            "Drop-1M: writing changes by",
        ),
        ("safe = set()", "Drop-2A: writing changes by"),
    ],
    "f-quantization-1": [
        ("prediction = 'stays as it is'", "have to reach the large one"),
        ("prediction = 'grows by a tenth'", "have to reach the large one"),
    ],
    "f-quantization-2": [
        (
            "def rounded(group, bits):\n    step = (group.max() - group.min()) / 2**bits\n"
            "    return group.min() + ((group - group.min()) / step).round() * step",
            "one value more",
        ),
        (
            "def rounded(group, bits):\n    step = group.abs().max() / (2 ** (bits - 1) - 1)\n"
            "    return (group / step).round() * step",
            "zero need not be in the middle",
        ),
    ],
    "f-quantization-3": [("size = 8", "larger groups take fewer"), ("size = 512", "too much")],
}
